//! Nodes of a lab that run Caracal: conflist, plugin, agent, manifests.

use std::{fmt::Write as _, time::Duration};

use anyhow::{Context as _, Result, bail};
use caracal_lab::{Lab, Node, NodeSpec, Process, Site, bin};
use serde_json::{Value, json};

const MANIFESTS: &str = "/run/caracal/manifests";
/// Loading programs on a busy machine takes a moment.
const AGENT_READY: Duration = Duration::from_secs(30);

/// A lab whose nodes have Caracal as their network.
#[derive(Debug)]
pub struct Cluster {
    agents: Vec<Process>,
    lab: Lab,
}

impl Cluster {
    /// Nodes `n1`, `n2`, … with an agent on each.
    pub fn start(name: &str, nodes: usize) -> Result<Self> {
        let mut cluster = Self::without_agents(name, nodes)?;
        let agents = cluster.lab.nodes().map(start_agent).collect::<Result<_>>()?;
        cluster.agents = agents;
        Ok(cluster)
    }

    /// The same, but nothing has loaded the programs.
    pub fn without_agents(name: &str, nodes: usize) -> Result<Self> {
        let builder = Lab::builder(name).with(|spec| spec.binaries = vec!["caracal".to_owned()]);
        let builder = (1..=nodes).fold(builder, |builder, n| builder.node(NodeSpec::new(&format!("n{n}"))));
        let lab = builder.start()?;
        let manifest = manifest(&lab);
        for node in lab.nodes() {
            node.set_conflist(&conflist())?;
            node.run("mkdir", ["-p", MANIFESTS])?;
            node.machine().write_file(format!("{MANIFESTS}/nodes.yaml"), &manifest)?;
        }
        Ok(Self { agents: Vec::new(), lab })
    }

    /// The lab underneath.
    #[must_use]
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// A node by its name.
    #[must_use]
    pub fn node(&self, name: &str) -> &Node {
        self.lab.node(name)
    }

    /// Ends it, and fails unless nothing is left.
    pub fn end(self) -> Result<()> {
        let Self { agents, lab } = self;
        drop(agents);
        lab.end()
    }

    /// Starts an agent on a node, in addition to those there are.
    pub fn add_agent(&mut self, node: &str) -> Result<()> {
        self.agents.push(start_agent(self.lab.node(node))?);
        Ok(())
    }

    /// Puts more plugins on a node.
    pub fn install(&self, node: &str, programs: &[&str]) -> Result<()> {
        programs.iter().try_for_each(|program| self.node(node).install(program))
    }

    /// Waits until every agent has said this.
    pub fn wait_for_log(&self, text: &str) -> Result<()> {
        self.agents.iter().try_for_each(|agent| agent.wait_for_log(text, AGENT_READY))
    }

    /// Kills every agent.
    pub fn kill_agents(&mut self) -> Result<()> {
        for agent in self.agents.drain(..) {
            agent.kill()?;
        }
        Ok(())
    }
}

/// Waits until the agent has loaded the programs and read its manifests.
fn start_agent(node: &Node) -> Result<Process> {
    let agent = node.command(bin("caracal-agent")?).args(["--manifests", MANIFESTS, "--node-name", node.label()]);
    let agent = agent.spawn()?;
    agent.wait_for_log("following", AGENT_READY).with_context(|| format!("agent of {}", node.label()))?;
    Ok(agent)
}

impl Cluster {
    /// What `caracalctl COMMAND` says on a node, as JSON.
    pub fn ctl(&self, node: &str, command: &str) -> Result<Value> {
        let output = self.node(node).command(bin("caracalctl")?).args(["--output", "json", command]).run()?;
        serde_json::from_str(&output).with_context(|| format!("caracalctl {command} on {node}: {output}"))
    }

    /// Packets that a node has counted under a reason.
    pub fn counted(&self, node: &str, reason: &str) -> Result<u64> {
        let counters = self.ctl(node, "counters")?;
        let Value::Array(lines) = counters else { bail!("counters are not a list: {counters}") };
        let line = lines.iter().find(|line| line["reason"] == reason);
        Ok(line.and_then(|line| line["packets"].as_u64()).unwrap_or_default())
    }
}

/// The network of every node: addresses from the node's pod ranges.
fn conflist() -> Value {
    json!({
        "cniVersion": "1.1.0",
        "name": "caracal",
        "plugins": [{
            "type": "caracal",
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
