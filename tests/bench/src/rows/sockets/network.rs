//! The lab: a bare pair on a node of its own, two nodes that the kernel routes on, and two with Caracal.
//!
//! Nodes without an agent have pods that Caracal's plugin has wired by routes alone: the same links and addresses as on
//! those with one, without programs.

use std::{net::IpAddr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use caracal_integration::Cluster;
use caracal_lab::{Machine, Node, Process, Site as _, bin, wait_for};

use super::paths::{End, Path, Scope};

/// What rows call the ways.
const BARE: &str = "a bare veth pair";
const KERNEL: &str = "the kernel's routing";
const OURS: &str = "Caracal";

/// Where the cluster has its Node objects.
const MANIFESTS: &str = "/run/caracal/manifests";
const AGENT_READY: Duration = Duration::from_secs(30);
/// The agent looks every few seconds.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);

/// Of the bare pair, IPv4 before IPv6.
const BARE_ADDRESSES: [[&str; 2]; 2] = [["192.0.2.1", "2001:db8::1"], ["192.0.2.2", "2001:db8::2"]];

/// All ways there are.
#[derive(Debug)]
pub struct Network {
    bare: Path,
    /// Of each scope.
    kernel: [Path; 2],
    ours: [Path; 2],
    agents: Vec<Process>,
    cluster: Cluster,
}

impl Network {
    /// Sets up everything.
    pub fn start() -> Result<Self> {
        let cluster = Cluster::without_agents("bench-paths", 5)?;
        let [alone, k1, k2, n1, n2] = ["n1", "n2", "n3", "n4", "n5"].map(|name| cluster.node(name));
        route_pods(k1, k2)?;
        route_pods(k2, k1)?;
        let agents = vec![start_agent(n1)?, start_agent(n2)?];
        let bare = bare_pair(alone.machine())?;
        let kernel = ways(KERNEL, true, [k1, k2])?;
        let ours = ways(OURS, false, [n1, n2])?;
        await_settled(n1, 2)?;
        await_settled(n2, 1)?;
        Ok(Self { bare, kernel, ours, agents, cluster })
    }

    /// Those that are compared: a bare pair, the kernel's and ours.
    pub fn paths(&self, scope: Scope) -> [&Path; 3] {
        let [kernel, ours] = [&self.kernel, &self.ours].map(|[same_node, two_nodes]| match scope {
            Scope::SameNode => same_node,
            Scope::TwoNodes => two_nodes,
        });
        [&self.bare, kernel, ours]
    }

    /// Ends it, and fails unless nothing is left.
    pub fn end(self) -> Result<()> {
        let Self { bare, kernel, ours, agents, cluster } = self;
        drop((bare, kernel, ours, agents));
        cluster.end()
    }
}

/// As on a node without kube-proxy: nothing translates addresses of pods' flows.
fn start_agent(node: &Node) -> Result<Process> {
    let agent = node.command(bin("caracal-agent")?).args(["--manifests", MANIFESTS, "--host-nat", "false"]);
    // It is to say that it is ready, however much this process is to say.
    let agent = agent.args(["--node-name", node.label()]).env("RUST_LOG", "info").spawn()?;
    agent.wait_for_log("following", AGENT_READY).with_context(|| format!("agent of {}", node.label()))?;
    Ok(agent)
}

/// Waits until the agent has attached its programs to so many pods as they stay.
fn await_settled(node: &Node, pods: usize) -> Result<()> {
    wait_for(format_args!("{pods} settled pods on {}", node.label()), SETTLED_WITHIN, || {
        let pins = node.run("find", ["/sys/fs/bpf/caracal", "-path", "*/links/from_pod-*"])?;
        ensure!(pins.lines().count() == pods, "pinned links: {pins:?}");
        Ok(())
    })
}

/// What an agent does on its node: routes to the pods of another.
fn route_pods(node: &Node, of: &Node) -> Result<()> {
    for cidr in of.pod_cidrs() {
        let via: IpAddr = if cidr.is_ipv4() { of.ip4().into() } else { of.ip6().into() };
        node.run("ip", ["route", "add", &cidr.to_string(), "via", &via.to_string()])?;
    }
    Ok(())
}

/// From a pod of the first node to another of it, and to one of the second.
fn ways(name: &'static str, by_kernel: bool, [first, second]: [&Node; 2]) -> Result<[Path; 2]> {
    let [client, near, far] = [pod(first, "client")?, pod(first, "near")?, pod(second, "far")?];
    let way = |server| Path { name, by_kernel, client: client.clone(), server };
    Ok([way(near), way(far)])
}

/// A pod, which lives as long as its node.
fn pod(node: &Node, name: &str) -> Result<End> {
    let pod = node.pod(name)?;
    let addresses = pod.addresses().to_vec();
    Ok(End { machine: node.machine().clone(), netns: pod.netns().clone(), addresses })
}

/// Two namespaces and what the kernel cannot do without.
fn bare_pair(machine: &Machine) -> Result<Path> {
    let end = |name, addresses: [&str; 2]| -> Result<End> {
        let addresses = addresses.map(str::parse).into_iter().collect::<Result<_, _>>()?;
        Ok(End { machine: machine.clone(), netns: machine.add_netns(name)?, addresses })
    };
    let [first, second] = BARE_ADDRESSES;
    let (client, server) = (end("bare1", first)?, end("bare2", second)?);
    client.run("ip", "link add eth0 type veth peer name eth0 netns bare2".split(' '))?;
    for end in [&client, &server] {
        end.run("ip", ["link", "set", "eth0", "up"])?;
        for ip in &end.addresses {
            let prefix = if ip.is_ipv4() { "/24" } else { "/64" };
            // An IPv6 address is not to wait until it is known to be the only one.
            let address = ["address", "add", &format!("{ip}{prefix}"), "dev", "eth0", "nodad"];
            end.run("ip", address.into_iter().take(if ip.is_ipv4() { 5 } else { 6 }))?;
        }
    }
    Ok(Path { name: BARE, by_kernel: false, client, server })
}
