//! Nodes of a lab that run Caracal: conflist, plugin, agent, manifests.

mod builder;

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use caracal_lab::{Lab, Machine, Node, Process, Site, bin};
use serde_json::Value;

pub use self::builder::ClusterBuilder;

const MANIFESTS: &str = "/run/caracal/manifests";
/// Loading programs on a busy machine takes a moment.
const AGENT_READY: Duration = Duration::from_secs(30);

/// A lab whose nodes have Caracal as their network.
#[derive(Debug)]
pub struct Cluster {
    agents: Vec<Process>,
    agent_args: Vec<String>,
    lab: Lab,
}

impl Cluster {
    /// Nodes `n1`, `n2`, … with an agent on each.
    pub fn start(name: &str, nodes: usize) -> Result<Self> {
        Self::builder(name).nodes(nodes).start()
    }

    /// The same, but nothing has loaded the programs.
    pub fn without_agents(name: &str, nodes: usize) -> Result<Self> {
        Self::builder(name).nodes(nodes).start_without_agents()
    }

    /// Describes one that is special in some way.
    #[must_use]
    pub fn builder(name: &str) -> ClusterBuilder {
        ClusterBuilder::new(name)
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

    /// Somebody outside by its name: on the LAN, without Caracal and without routes to pods.
    #[must_use]
    pub fn client(&self, name: &str) -> &Machine {
        self.lab.client(name)
    }

    /// Ends it, and fails unless nothing is left.
    pub fn end(self) -> Result<()> {
        let Self { agents, agent_args: _, lab } = self;
        drop(agents);
        lab.end()
    }

    /// Starts an agent on a node, in addition to those there are.
    pub fn add_agent(&mut self, node: &str) -> Result<()> {
        self.agents.push(start_agent(self.lab.node(node), &self.agent_args)?);
        Ok(())
    }

    /// The agents that run, in the order in which they were started.
    #[must_use]
    pub fn agents(&self) -> &[Process] {
        &self.agents
    }

    /// Puts more plugins on a node.
    pub fn install(&self, node: &str, programs: &[&str]) -> Result<()> {
        programs.iter().try_for_each(|program| self.node(node).install(program))
    }

    /// Gives a node's agent a manifest, or another one by that name. Whole at once: what is read half is an error.
    pub fn set_manifest(&self, node: &str, name: &str, manifest: &str) -> Result<()> {
        let script = format!("cat > {MANIFESTS}/.new && mv {MANIFESTS}/.new {MANIFESTS}/{name}");
        self.node(node).command("sh").args(["-c", &script]).stdin(manifest).run().map(drop)
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
fn start_agent(node: &Node, args: &[String]) -> Result<Process> {
    let agent = node.command(bin("caracal-agent")?).args(["--manifests", MANIFESTS, "--node-name", node.label()]);
    let agent = agent.args(args).spawn()?;
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
