//! Counting what passes a machine's netfilter hooks: proof that packets took the host's stack, or did not.

use anyhow::{Context as _, Result};
use caracal_lab::{Machine, Site};
use serde_json::Value;

const TABLE: &str = "caracal_test";
const HOOKS: [&str; 5] = ["prerouting", "input", "forward", "output", "postrouting"];

/// Counters of both families in every hook of a machine, before anything that translates or filters.
#[derive(Debug)]
pub struct NftCounters {
    machine: Machine,
}

impl NftCounters {
    /// Counts everything.
    pub fn install(site: &impl Site) -> Result<Self> {
        Self::matching(site, "")
    }

    /// Counts what matches an expression of nft, such as `udp dport 53`.
    pub fn matching(site: &impl Site, expression: &str) -> Result<Self> {
        let chains: Vec<String> = HOOKS.iter().map(|hook| chain(hook, expression)).collect();
        let ruleset = format!("table inet {TABLE} {{\n{}\n}}\n", chains.concat());
        let machine = site.machine().clone();
        machine.command("nft").args(["-f", "-"]).stdin(ruleset).run().context("counting packets by nft")?;
        Ok(Self { machine })
    }

    /// Packets of both families that the machine forwarded.
    pub fn forwarded(&self) -> Result<u64> {
        self.packets("forward")
    }

    /// Packets of both families in a hook: `prerouting`, `input`, `forward`, `output`, `postrouting`.
    pub fn packets(&self, hook: &str) -> Result<u64> {
        Ok(self.packets_of(hook, true)? + self.packets_of(hook, false)?)
    }

    /// Packets of one family in a hook.
    pub fn packets_of(&self, hook: &str, v4: bool) -> Result<u64> {
        let name = counter(hook, v4);
        let listed = self.machine.run("nft", ["-j", "list", "counter", "inet", TABLE, &name])?;
        let listed: Value = serde_json::from_str(&listed).with_context(|| format!("nft said {listed}"))?;
        let mut objects = listed["nftables"].as_array().into_iter().flatten();
        let packets = objects.find_map(|object| object["counter"]["packets"].as_u64());
        packets.with_context(|| format!("{} has no counter {name}: {listed}", self.machine.label()))
    }

    /// Begins at nought again.
    pub fn reset(&self) -> Result<()> {
        self.machine.run("nft", ["reset", "counters", "table", "inet", TABLE]).map(drop)
    }

    /// Takes them away.
    pub fn remove(self) -> Result<()> {
        self.machine.run("nft", ["delete", "table", "inet", TABLE]).map(drop)
    }
}

fn counter(hook: &str, v4: bool) -> String {
    format!("{hook}{}", if v4 { 4 } else { 6 })
}

fn chain(hook: &str, expression: &str) -> String {
    let rule = |v4: bool| {
        let family = if v4 { "ipv4" } else { "ipv6" };
        format!("meta nfproto {family} {expression} counter name \"{}\"\n", counter(hook, v4))
    };
    let counters = [true, false].map(|v4| format!("counter {} {{ }}\n", counter(hook, v4))).concat();
    let rules = [true, false].map(rule).concat();
    format!("{counters}chain {hook} {{\ntype filter hook {hook} priority -500; policy accept;\n{rules}}}\n")
}
