//! Ways between two ends.

use std::{fmt, net::IpAddr};

use anyhow::{Context as _, Result, ensure};
use caracal_lab::{Machine, NetNs, Site};

use super::Family;

/// Where the two ends are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    SameNode,
    TwoNodes,
}

/// A place that programs run at: a pod, or a namespace that nobody but the bench knows.
#[derive(Clone, Debug)]
pub struct End {
    pub machine: Machine,
    pub netns: NetNs,
    /// IPv4 before IPv6.
    pub addresses: Vec<IpAddr>,
}

/// A way between two ends.
#[derive(Debug)]
pub struct Path {
    /// What rows call it.
    pub name: &'static str,
    /// Whether the client's node routes its packets. On a bare pair nobody does.
    pub by_kernel: bool,
    /// Who begins.
    pub client: End,
    /// Who answers.
    pub server: End,
}

impl Scope {
    pub const ALL: [Self; 2] = [Self::SameNode, Self::TwoNodes];
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::SameNode { "same node" } else { "two nodes" })
    }
}

impl Site for End {
    fn machine(&self) -> &Machine {
        &self.machine
    }

    fn netns(&self) -> &NetNs {
        &self.netns
    }

    fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }
}

impl End {
    /// Its address of a family.
    pub fn ip(&self, family: Family) -> IpAddr {
        if family == Family::V4 { self.ip4().into() } else { self.ip6().into() }
    }
}

impl Path {
    /// Packets that the client's node has routed so far.
    pub fn routed(&self, family: Family) -> Result<u64> {
        let (file, name) = match family {
            Family::V4 => ("snmp", "ForwDatagrams"),
            Family::V6 => ("snmp6", "Ip6OutForwDatagrams"),
        };
        let text = self.client.machine.run("cat", [format!("/proc/net/{file}")])?;
        counter(&text, name).with_context(|| format!("no {name} in /proc/net/{file}: {text}"))
    }

    /// Whether it was by the kernel that `packets` went, or more: otherwise this timed something else.
    pub fn check(&self, routed: u64, packets: u64) -> Result<()> {
        let (name, node) = (self.name, self.client.machine.name());
        // A flow's first packets may pass the host.
        let right = if self.by_kernel { routed >= packets } else { routed < packets / 10 };
        ensure!(right, "{name}: the kernel of {node} routed {routed} packets of {packets} or more");
        Ok(())
    }
}

/// A counter of `/proc/net/snmp`, which has lines of names above lines of values, or of `snmp6`, which has pairs.
fn counter(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines();
    let columns = |line: &'_ str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    while let Some(line) = lines.next() {
        let names = columns(line);
        match names.iter().position(|column| column == name) {
            Some(0) => return names.get(1)?.parse().ok(),
            Some(at) => return columns(lines.next()?).get(at)?.parse().ok(),
            None => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_stand_below_their_name_or_beside_it() {
        let snmp = "Ip: Forwarding DefaultTTL ForwDatagrams\nIp: 1 64 4711\nIcmp: InMsgs\nIcmp: 3\n";
        assert_eq!(counter(snmp, "ForwDatagrams"), Some(4711));
        assert_eq!(counter("Ip6InReceives 7\nIp6OutForwDatagrams 12\n", "Ip6OutForwDatagrams"), Some(12));
        assert_eq!(counter(snmp, "Ip6OutForwDatagrams"), None);
    }
}
