//! What a cluster is made of.

use std::fmt::Write as _;

use anyhow::Result;
use caracal_lab::{Builder, Lab, LanKind, NodeSpec, Site};
use serde_json::{Value, json};

use super::{Cluster, MANIFESTS, start_agent};

/// A cluster to be: one node, an agent on it, nothing special, unless told otherwise.
#[derive(Clone, Debug)]
pub struct ClusterBuilder {
    lab: Builder,
    nodes: usize,
    agent_args: Vec<String>,
    pod_mtu: Option<u32>,
}

impl ClusterBuilder {
    pub(super) fn new(name: &str) -> Self {
        let lab = Lab::builder(name).with(|spec| spec.binaries = vec!["caracal".to_owned()]);
        Self { lab, nodes: 1, agent_args: Vec::new(), pod_mtu: None }
    }

    /// With so many nodes: `n1`, `n2`, …
    #[must_use]
    pub fn nodes(self, nodes: usize) -> Self {
        Self { nodes, ..self }
    }

    /// With more arguments for every agent, such as `--host-nat=false`.
    #[must_use]
    pub fn agent_args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.agent_args.extend(args.into_iter().map(Into::into));
        self
    }

    /// With somebody outside: [`Cluster::client`].
    #[must_use]
    pub fn client(self, name: &str) -> Self {
        Self { lab: self.lab.client(name), ..self }
    }

    /// With this between nodes and clients.
    #[must_use]
    pub fn lan(self, kind: LanKind) -> Self {
        Self { lab: self.lab.lan(kind), ..self }
    }

    /// With another MTU on the LAN, which pods have as well unless told otherwise.
    #[must_use]
    pub fn mtu(self, mtu: u32) -> Self {
        Self { lab: self.lab.with(|spec| spec.mtu = mtu), ..self }
    }

    /// With another MTU in pods.
    #[must_use]
    pub fn pod_mtu(self, mtu: u32) -> Self {
        Self { pod_mtu: Some(mtu), ..self }
    }

    /// Starts it, an agent on each node.
    pub fn start(self) -> Result<Cluster> {
        let mut cluster = self.start_without_agents()?;
        let agents = cluster.lab.nodes().map(|node| start_agent(node, &cluster.agent_args)).collect::<Result<_>>()?;
        cluster.agents = agents;
        Ok(cluster)
    }

    /// Starts it, but nothing has loaded the programs.
    pub fn start_without_agents(self) -> Result<Cluster> {
        let Self { lab, nodes, agent_args, pod_mtu } = self;
        let lab = (1..=nodes).fold(lab, |lab, n| lab.node(NodeSpec::new(&format!("n{n}")))).start()?;
        let manifest = manifest(&lab);
        for node in lab.nodes() {
            node.set_conflist(&conflist(pod_mtu))?;
            node.run("mkdir", ["-p", MANIFESTS])?;
            node.machine().write_file(format!("{MANIFESTS}/nodes.yaml"), &manifest)?;
        }
        Ok(Cluster { agents: Vec::new(), agent_args, lab })
    }
}

/// The network of every node: addresses from the node's pod ranges.
fn conflist(pod_mtu: Option<u32>) -> Value {
    json!({
        "cniVersion": "1.1.0",
        "name": "caracal",
        "plugins": [{
            "type": "caracal",
            // None stands for that of the node's default route.
            "mtu": pod_mtu.unwrap_or(0),
            "capabilities": { "portMappings": true, "bandwidth": true },
            "ipam": {
                "type": "caracal-ipam",
                "ranges": [[{ "subnet": "${podCIDR4}" }], [{ "subnet": "${podCIDR6}" }]],
            },
        }],
    })
}

/// All nodes as Kubernetes objects.
fn manifest(lab: &Lab) -> String {
    lab.nodes().fold(String::new(), |mut yaml, node| {
        let cidrs: Vec<String> = node.pod_cidrs().iter().map(|cidr| format!("\"{cidr}\"")).collect();
        let addresses = node.addresses().iter().map(|ip| format!("{{type: InternalIP, address: \"{ip}\"}}"));
        let addresses: Vec<String> = addresses.collect();
        // Writing to a string cannot fail.
        let _ = write!(
            yaml,
            "---\napiVersion: v1\nkind: Node\nmetadata: {{name: {}}}\nspec: {{podCIDRs: [{}]}}\nstatus: {{addresses: [{}]}}\n",
            node.label(),
            cidrs.join(", "),
            addresses.join(", ")
        );
        yaml
    })
}
