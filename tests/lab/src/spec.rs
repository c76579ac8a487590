//! What a lab consists of: built in code by tests, or read from YAML by `caracal-lab up`.

use std::{collections::HashSet, fs, net::IpAddr, path::Path};

use anyhow::{Context as _, Result, anyhow, ensure};
use ipnetwork::IpNetwork;
use serde::Deserialize;
use serde_json::Value;

use crate::traffic::Listen;

/// Names that the lab uses itself.
const RESERVED: [&str; 4] = ["lan", "br0", "lo", "eth0"];

/// Interfaces are named after machines, and the kernel gives them 15 characters.
const LONGEST_NAME: usize = 15;

/// A whole lab.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabSpec {
    /// Name of the lab.
    pub name: String,
    /// What is between nodes and clients.
    #[serde(default)]
    pub lan: LanKind,
    /// Where addresses of nodes and clients come from, at most one range per family.
    #[serde(default = "default_lan_cidrs", rename = "lanCIDRs")]
    pub lan_cidrs: Vec<IpNetwork>,
    /// MTU of all LAN links.
    #[serde(default = "default_mtu")]
    pub mtu: u32,
    /// Whether nodes, router and gateway have routes to the pod ranges of all nodes, as a cloud's network would.
    #[serde(default)]
    pub pod_routes: bool,
    /// Programs for `/opt/cni/bin` of every node: a path, or the name of a binary of this workspace.
    #[serde(default)]
    pub binaries: Vec<String>,
    /// Network configuration of the nodes that have none of their own.
    pub conflist: Option<Conflist>,
    /// The nodes.
    #[serde(default)]
    pub nodes: Vec<NodeSpec>,
    /// The pods, made in this order once all nodes are up.
    #[serde(default)]
    pub pods: Vec<PodSpec>,
    /// Things on the LAN that are no nodes.
    #[serde(default)]
    pub clients: Vec<ClientSpec>,
}

/// What is between nodes and clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LanKind {
    /// One link for all.
    #[default]
    Bridge,
    /// A router, with a link of its own to each.
    Routed,
}

/// A node.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeSpec {
    /// Its name.
    pub name: String,
    /// Its addresses on the LAN; picked from `lanCIDRs` if there are none.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// Its pod ranges, `10.244.<n>.0/24` and `fd00:10:244:<n>::/64` if absent.
    #[serde(rename = "podCIDRs")]
    pub pod_cidrs: Option<Vec<IpNetwork>>,
    /// More programs for its `/opt/cni/bin`.
    #[serde(default)]
    pub binaries: Vec<String>,
    /// Its network configuration, instead of the lab's.
    pub conflist: Option<Conflist>,
    /// Shell commands to start on it before pods are made, such as the agent. They run until the lab ends.
    #[serde(default)]
    pub start: Vec<String>,
}

/// A network configuration list: a mapping is the list itself, a string the path of a file that holds it.
#[derive(Debug, Clone, PartialEq)]
pub enum Conflist {
    /// The list.
    Inline(Value),
    /// A file with the list, relative to the YAML file.
    Path(String),
}

/// A pod.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodSpec {
    /// Its name.
    pub name: String,
    /// Name of the node it runs on.
    pub node: String,
    /// Echo servers in it.
    #[serde(default)]
    pub serve: Vec<Listen>,
}

/// A client.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientSpec {
    /// Its name.
    pub name: String,
    /// Its addresses on the LAN; picked from `lanCIDRs` if there are none.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// Echo servers on it.
    #[serde(default)]
    pub serve: Vec<Listen>,
}

impl LabSpec {
    /// A lab without machines.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            lan: LanKind::default(),
            lan_cidrs: default_lan_cidrs(),
            mtu: default_mtu(),
            pod_routes: false,
            binaries: Vec::new(),
            conflist: None,
            nodes: Vec::new(),
            pods: Vec::new(),
            clients: Vec::new(),
        }
    }

    /// Reads YAML. Errors name file, line and field.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let mut spec = Self::parse(&text).with_context(|| path.display().to_string())?;
        let dir = path.parent().unwrap_or(Path::new("."));
        for conflist in spec.nodes.iter_mut().filter_map(|node| node.conflist.as_mut()).chain(spec.conflist.as_mut()) {
            conflist.load(dir)?;
        }
        Ok(spec)
    }

    /// Understands YAML. Errors name line and field.
    pub fn parse(yaml: &str) -> Result<Self> {
        let spec: Self = serde_norway::from_str(yaml)?;
        spec.check()?;
        Ok(spec)
    }

    /// Checks what the types do not say: names and what refers to them.
    pub(crate) fn check(&self) -> Result<()> {
        check_name("lab", &self.name, usize::MAX)?;
        let mut machines = HashSet::new();
        let nodes = self.nodes.iter().map(|node| ("node", &node.name));
        for (kind, name) in nodes.chain(self.clients.iter().map(|client| ("client", &client.name))) {
            check_name(kind, name, LONGEST_NAME)?;
            ensure!(!RESERVED.contains(&name.as_str()), "{kind} `{name}`: the lab uses that name itself");
            ensure!(machines.insert(name), "{kind} `{name}`: another node or client has that name");
        }
        let mut pods = HashSet::new();
        for pod in &self.pods {
            check_name("pod", &pod.name, 63)?;
            ensure!(
                pods.insert((&pod.node, &pod.name)),
                "pod `{}`: node {} has a pod of that name",
                pod.name,
                pod.node
            );
            ensure!(self.nodes.iter().any(|node| node.name == pod.node), "pod `{}`: no node `{}`", pod.name, pod.node);
        }
        for cidr in &self.lan_cidrs {
            ensure!(cidr.ip() == cidr.network(), "lanCIDRs: {cidr} has bits behind its prefix");
        }
        let v4 = self.lan_cidrs.iter().filter(|cidr| cidr.is_ipv4()).count();
        ensure!(!self.lan_cidrs.is_empty(), "lanCIDRs: empty");
        ensure!(v4 <= 1 && self.lan_cidrs.len() - v4 <= 1, "lanCIDRs: more than one range of a family");
        Ok(())
    }
}

impl NodeSpec {
    /// A node with everything picked by the lab.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// With these programs in `/opt/cni/bin`.
    #[must_use]
    pub fn binaries<S: Into<String>>(mut self, binaries: impl IntoIterator<Item = S>) -> Self {
        self.binaries.extend(binaries.into_iter().map(Into::into));
        self
    }

    /// With this network configuration.
    #[must_use]
    pub fn conflist(mut self, conflist: Value) -> Self {
        self.conflist = Some(Conflist::Inline(conflist));
        self
    }

    /// With these pod ranges.
    #[must_use]
    pub fn pod_cidrs(mut self, cidrs: impl IntoIterator<Item = IpNetwork>) -> Self {
        self.pod_cidrs = Some(cidrs.into_iter().collect());
        self
    }
}

impl ClientSpec {
    /// A client with an address picked by the lab.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}

impl Conflist {
    /// Replaces a path, seen from `dir`, by what the file holds.
    fn load(&mut self, dir: &Path) -> Result<()> {
        if let Self::Path(path) = self {
            let path = dir.join(path);
            let text = fs::read_to_string(&path).with_context(|| format!("conflist: reading {}", path.display()))?;
            let list = serde_json::from_str(&text).with_context(|| format!("conflist: {}", path.display()))?;
            *self = Self::Inline(list);
        }
        Ok(())
    }

    /// The list itself.
    pub(crate) fn value(&self) -> Result<&Value> {
        match self {
            Self::Inline(value) => Ok(value),
            Self::Path(path) => Err(anyhow!("conflist: {path} was not read; paths are for YAML files only")),
        }
    }
}

impl<'de> Deserialize<'de> for Conflist {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(path) => Ok(Self::Path(path)),
            value @ Value::Object(_) => Ok(Self::Inline(value)),
            _ => Err(serde::de::Error::custom("conflist: neither a mapping nor the path of a file")),
        }
    }
}

fn check_name(kind: &str, name: &str, longest: usize) -> Result<()> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let valid = !name.is_empty() && name.chars().all(inner) && !name.starts_with('-') && !name.ends_with('-');
    ensure!(valid, "{kind} `{name}`: a name consists of a-z, 0-9 and inner `-`");
    ensure!(name.len() <= longest, "{kind} `{name}`: a name has at most {longest} characters");
    Ok(())
}

fn default_lan_cidrs() -> Vec<IpNetwork> {
    use std::net::{Ipv4Addr, Ipv6Addr};
    let v4 = IpNetwork::new(Ipv4Addr::new(172, 31, 0, 0).into(), 16);
    let v6 = IpNetwork::new(Ipv6Addr::new(0xfd00, 0x1ab, 0, 0, 0, 0, 0, 0).into(), 48);
    v4.into_iter().chain(v6).collect()
}

fn default_mtu() -> u32 {
    1500
}

#[cfg(test)]
mod tests;
