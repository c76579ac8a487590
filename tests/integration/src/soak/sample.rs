//! What a cluster holds at a moment: entries and memory of maps, memory and files of agents, traces of pods.

use std::{collections::BTreeMap, fmt, fs};

use anyhow::{Context as _, Result};
use caracal_datapath::Root;
use caracal_lab::{Node, Process, Site};
use serde_json::Value;

use crate::Cluster;

/// What an agent's memory may grow by: allocators keep what they had.
const SLACK_KIB: u64 = 2048;
/// Maps of flows, all of which are swept.
const FLOWS: &str = "FLOWS";

/// A moment.
#[derive(Debug)]
pub(super) struct Sample {
    /// By node and name.
    maps: BTreeMap<String, MapUse>,
    agents: Vec<AgentUse>,
    /// Links, and records of pods, of all nodes.
    traces: usize,
}

#[derive(Debug)]
struct MapUse {
    /// Of kinds that have entries.
    entries: Option<usize>,
    bytes: u64,
    /// It makes room by itself, so that what is left in it is no leak.
    is_lru: bool,
}

#[derive(Debug)]
struct AgentUse {
    rss_kib: u64,
    files: usize,
}

impl Sample {
    pub(super) fn take(cluster: &Cluster) -> Result<Self> {
        let mut maps = BTreeMap::new();
        let mut traces = 0;
        for node in cluster.lab().nodes() {
            for name in list(node, &Root::default().maps_dir().display().to_string())? {
                let used = MapUse::of(node, &name).with_context(|| format!("map {name} of {}", node.label()))?;
                maps.insert(format!("{} {name}", node.label()), used);
            }
            traces += list(node, &Root::default().links_dir().display().to_string())?.len();
            traces += list(node, "/run/caracal/endpoints")?.len();
        }
        let agents = cluster.agents().iter().map(AgentUse::of).collect::<Result<_>>()?;
        Ok(Self { maps, agents, traces })
    }

    /// Directions of flows, in all tables.
    pub(super) fn flows(&self) -> usize {
        let tables = self.maps.iter().filter(|(name, _)| is_flows(name));
        tables.filter_map(|(_, used)| used.entries).sum()
    }

    /// What is more than it was in another moment in which nobody talked.
    pub(super) fn grown_since(&self, before: &Self) -> Vec<String> {
        let mut complaints = Vec::new();
        for (name, now) in &self.maps {
            let Some(then) = before.maps.get(name) else {
                complaints.push(format!("map {name} is new"));
                continue;
            };
            if now.entries > then.entries && (is_flows(name) || !now.is_lru) {
                complaints.push(format!("map {name} had {:?} entries and has {:?}", then.entries, now.entries));
            }
            if now.bytes > then.bytes {
                complaints.push(format!("map {name} took {} bytes and takes {}", then.bytes, now.bytes));
            }
        }
        for (n, (now, then)) in self.agents.iter().zip(&before.agents).enumerate() {
            if now.rss_kib > then.rss_kib + SLACK_KIB {
                complaints.push(format!("agent {} took {} KiB and takes {}", n + 1, then.rss_kib, now.rss_kib));
            }
            if now.files > then.files {
                complaints.push(format!("agent {} had {} open files and has {}", n + 1, then.files, now.files));
            }
        }
        if self.traces > before.traces {
            complaints.push(format!("of pods there were {} links and records and are {}", before.traces, self.traces));
        }
        complaints
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = |is_lru| {
            let maps = self.maps.iter().filter(|(name, used)| !is_flows(name) && used.is_lru == is_lru);
            maps.filter_map(|(_, used)| used.entries).sum::<usize>()
        };
        let (kept, dispensable) = (entries(false), entries(true));
        let kib = self.maps.values().map(|used| used.bytes).sum::<u64>() >> 10;
        let flows = self.flows();
        write!(f, "{flows} flows, {kept} other entries, {dispensable} that make room, {kib} KiB of maps; agents:")?;
        for AgentUse { rss_kib, files } in &self.agents {
            write!(f, " {rss_kib} KiB and {files} files,")?;
        }
        write!(f, " {} links and records", self.traces)
    }
}

fn is_flows(name: &str) -> bool {
    name.split_once(' ').is_some_and(|(_, map)| map.starts_with(FLOWS))
}

fn list(node: &Node, directory: &str) -> Result<Vec<String>> {
    Ok(node.run("ls", [directory])?.lines().map(str::to_owned).collect())
}

impl MapUse {
    fn of(node: &Node, name: &str) -> Result<Self> {
        let pin = Root::default().map(name).display().to_string();
        let shown = bpftool(node, "show", &pin)?;
        let kind = shown["type"].as_str().unwrap_or_default();
        let has_entries = matches!(kind, "hash" | "lru_hash" | "lpm_trie");
        let entries = has_entries.then(|| bpftool(node, "dump", &pin)).transpose()?;
        let entries = entries.map(|dump| dump.as_array().map(Vec::len).context("a dump is a list")).transpose()?;
        let bytes = shown["bytes_memlock"].as_u64().context("the kernel does not tell the memory of maps")?;
        Ok(Self { entries, bytes, is_lru: kind == "lru_hash" })
    }
}

fn bpftool(node: &Node, what: &str, pin: &str) -> Result<Value> {
    let said = node.run("bpftool", ["-j", "map", what, "pinned", pin])?;
    serde_json::from_str(&said).with_context(|| format!("bpftool map {what} pinned {pin}: {said}"))
}

impl AgentUse {
    fn of(agent: &Process) -> Result<Self> {
        let process = format!("/proc/{}", agent.pid());
        let status = fs::read_to_string(format!("{process}/status"))?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB"));
        let rss_kib = rss.context("no VmRSS: the agent has ended")?.trim().parse()?;
        Ok(Self { rss_kib, files: fs::read_dir(format!("{process}/fd"))?.count() })
    }
}
