//! Nodes as AKS has them.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use caracal_azure::cns::{Config, Held};
use caracal_conflist::{AZURE, ChainedOptions, chained};
use caracal_lab::{Lab, Node, NodeSpec, Pod, PodOptions, Process, Site, bin, wait_for};
use ipnetwork::IpNetwork;
use serde_json::{Value, json};

const MANIFESTS: &str = "/run/manifests";
const READY: Duration = Duration::from_secs(30);

/// An address of IPv6 is not its owner's before others have had a second to object.
const SETTLED: Duration = Duration::from_secs(10);

/// Addresses of a node: so few that a leak is noticed.
const ADDRESSES: u32 = 4;

/// Where the first of them is in the node's range.
const FIRST: u32 = 10;

/// Length of the prefix that all nodes' ranges of IPv4 have in common.
const CLUSTER_PREFIX: u8 = 16;

/// Which network of Azure's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Pods in the nodes' subnet.
    NodeSubnet,
    /// Pods in a subnet of their own.
    Swift,
    /// Overlay, IPv4.
    Overlay,
    /// The same, with the list that the address service writes.
    OverlayByCns,
    /// Overlay, both families.
    DualStack,
}

impl Mode {
    /// What our lists call it.
    fn network(self) -> &'static str {
        match self {
            Self::NodeSubnet => "node subnet",
            Self::Swift => "pod subnet",
            Self::Overlay => "overlay",
            Self::OverlayByCns => "overlay, written by CNS",
            Self::DualStack => "dual-stack overlay, written by CNS",
        }
    }

    /// The gateway of the pods' network, where that is one of Azure's own.
    pub(crate) fn gateway(self) -> Option<IpAddr> {
        matches!(self, Self::NodeSubnet | Self::Swift).then(|| Ipv4Addr::new(10, 244, 0, 1).into())
    }
}

/// A cluster whose nodes have Azure's plugin and service, and Caracal after them.
pub(crate) struct Aks {
    agents: BTreeMap<String, Process>,
    _services: Vec<Process>,
    lab: Lab,
}

impl Aks {
    /// Nodes `n1`, `n2`, … with an agent on each.
    pub(crate) fn start(vendor: &crate::vendor::Vendor, mode: Mode, nodes: usize) -> Self {
        let mut aks = Self::without_agents(vendor, mode, nodes);
        for node in aks.lab.nodes() {
            aks.agents.insert(node.label().to_owned(), agent(node));
        }
        aks
    }

    /// The same, but nothing has loaded the programs.
    pub(crate) fn without_agents(vendor: &crate::vendor::Vendor, mode: Mode, nodes: usize) -> Self {
        let builder = Lab::builder("aks").pod_routes().with(|spec| {
            let vendors = vendor.program.to_str().unwrap();
            spec.binaries = ["caracal", "/usr/lib/cni/portmap", vendors].map(str::to_owned).into();
        });
        let builder = (1..=nodes).fold(builder, |builder, n| builder.node(NodeSpec::new(&format!("n{n}"))));
        let lab = builder.start().unwrap();
        let services = lab.nodes().map(|node| service(node, mode)).collect();
        for node in lab.nodes() {
            vendor.install(node);
            node.set_conflist(&conflist(mode)).unwrap();
            node.run("mkdir", ["-p", MANIFESTS]).unwrap();
        }
        Self { agents: BTreeMap::new(), _services: services, lab }
    }

    pub(crate) fn node(&self, name: &str) -> &Node {
        self.lab.node(name)
    }

    pub(crate) fn start_agent(&mut self, node: &str) {
        let agent = agent(self.lab.node(node));
        self.agents.insert(node.to_owned(), agent);
    }

    pub(crate) fn kill_agent(&mut self, node: &str) {
        self.agents.remove(node).unwrap().kill().unwrap();
    }

    /// A pod whose container is called as real ones are.
    pub(crate) fn pod(&self, node: &str, name: &str) -> Pod {
        self.node(node).pod_with(name, &options()).unwrap()
    }

    /// Who has which of the node's addresses, by Azure's account.
    pub(crate) fn held(&self, node: &str) -> Held {
        let held = self.node(node).run(bin("azure-cns-stub").unwrap(), ["held"]).unwrap();
        serde_json::from_str(&held).unwrap()
    }

    /// The addresses that the data plane knows, and the numbers of their links.
    pub(crate) fn guarded(&self, node: &str) -> BTreeMap<IpAddr, u64> {
        let pods = self.ctl(node, "pods");
        let line = |pod: &Value| (pod["address"].as_str().unwrap().parse().unwrap(), pod["ifindex"].as_u64().unwrap());
        pods.as_array().unwrap().iter().map(line).collect()
    }

    /// What `caracalctl COMMAND` says.
    pub(crate) fn ctl(&self, node: &str, command: &str) -> Value {
        let said = self.node(node).run(bin("caracalctl").unwrap(), ["--output", "json", command]).unwrap();
        serde_json::from_str(&said).unwrap()
    }

    /// How many pods of a node have our programs behind a pinned link.
    pub(crate) fn links(&self, node: &str) -> usize {
        self.node(node)
            .run("sh", ["-c", "find /sys/fs/bpf/caracal/v*/links -name 'from_pod-*'"])
            .unwrap()
            .lines()
            .count()
    }

    /// Everything of ours and of Azure's that a pod could leave on a node.
    pub(crate) fn remains(&self, node: &str) -> Vec<String> {
        let mut remains: Vec<String> = self.held(node).iter().map(|(ip, holder)| format!("{ip} {holder:?}")).collect();
        remains.extend(self.guarded(node).iter().map(|(ip, link)| format!("endpoint {ip} of link {link}")));
        remains.extend(self.ctl(node, "flows").as_array().unwrap().iter().map(|flow| format!("flow {flow}")));
        let list = "find /sys/fs/bpf/caracal/v*/links -name 'from_pod-*'; find /run/caracal/endpoints -type f 2>/dev/null; \
                    ip -o route show proto static; ip -6 -o route show proto static; true";
        let listed = self.node(node).run("sh", ["-c", list]).unwrap();
        // Routes by which the lab has nodes reach each other are of another protocol, and Azure's for a subnet stays.
        remains.extend(listed.lines().filter(|line| !line.contains(" via ")).map(str::to_owned));
        remains
    }

    /// Ends it, and fails unless nothing is left.
    pub(crate) fn end(self) {
        let Self { agents, _services: services, lab } = self;
        drop((agents, services));
        lab.end().unwrap();
    }
}

/// What Azure's list for a mode is, with ours added as the installer adds it.
pub(crate) fn conflist(mode: Mode) -> Value {
    let vendor = AZURE.iter().find(|vendor| vendor.network == mode.network()).unwrap();
    let mut list: Value = serde_json::from_str(vendor.content).unwrap();
    let ipam = &mut list["plugins"][0]["ipam"];
    // Azure's other IPAM asks the machine that the node is a guest of, and there is none.
    if ipam["type"] == "azure-vnet-ipam" {
        *ipam = json!({"type": "azure-cns"});
    }
    serde_json::from_str(&chained(&list.to_string(), &ChainedOptions::default()).unwrap()).unwrap()
}

/// Options of a pod with a container of its own. Azure's plugin tells containers by the first digits of their ids, which
/// are random in real ones.
pub(crate) fn options() -> PodOptions {
    PodOptions { container_id: Some(container_id()), ..PodOptions::default() }
}

pub(crate) fn container_id() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{number:08x}").repeat(8)
}

/// Starts the address service of a node.
fn service(node: &Node, mode: Mode) -> Process {
    let families = if mode == Mode::DualStack { 2 } else { 1 };
    let gateway = node.run("sh", ["-c", "ip -4 route show default | cut -d' ' -f3"]).unwrap();
    let config = Config {
        first: node.pod_cidrs().iter().take(families).map(first).collect(),
        size: ADDRESSES,
        pod_gateway: mode.gateway(),
        host: IpNetwork::new(node.ip4().into(), 16).unwrap(),
        host_gateway: gateway.trim().parse().unwrap(),
    };
    let stub = node.command(bin("azure-cns-stub").unwrap()).arg("serve").stdin(serde_json::to_vec(&config).unwrap());
    let stub = stub.spawn().unwrap();
    stub.wait_for_log("serving on", READY).unwrap();
    stub
}

/// The first address to give out of a node's range, with the prefix of the cluster's.
fn first(cidr: &IpNetwork) -> IpNetwork {
    match cidr.network() {
        IpAddr::V4(ip) => IpNetwork::new(Ipv4Addr::from_bits(ip.to_bits() + FIRST).into(), CLUSTER_PREFIX),
        IpAddr::V6(ip) => IpNetwork::new(Ipv6Addr::from_bits(ip.to_bits() + u128::from(FIRST)).into(), cidr.prefix()),
    }
    .unwrap()
}

fn agent(node: &Node) -> Process {
    let agent = node.command(bin("caracal-agent").unwrap());
    let agent = agent.args(["--manifests", MANIFESTS, "--node-name", node.label()]).spawn().unwrap();
    agent.wait_for_log("following", READY).unwrap();
    agent
}

/// Two that can reach each other, by every protocol and family they have.
pub(crate) fn talk(from: &Pod, to: &Pod) {
    let _server = to.serve(&["tcp/80", "udp/53"]).unwrap();
    for (own, other) in from.addresses().iter().zip(to.addresses()) {
        wait_for("an answer to a ping", SETTLED, || from.ping(*other)).unwrap();
        let reply = from.tcp_roundtrip((*other, 80), &[7; 10_000]).unwrap();
        assert_eq!((reply.peer.ip(), reply.bytes.len()), (*own, 10_000));
        assert_eq!(from.udp_roundtrip((*other, 53), b"?").unwrap().peer.ip(), *own);
    }
}

/// Number and name of the host's end of a pod's interface.
pub(crate) fn host_end(pod: &Pod) -> (u64, String) {
    let links = |site: &dyn Fn() -> String| -> Value { serde_json::from_str(&site()).unwrap() };
    let inside = links(&|| pod.run("ip", ["-j", "link", "show", "eth0"]).unwrap());
    let index = inside[0]["link_index"].as_u64().unwrap();
    let outside = links(&|| pod.node().run("ip", ["-j", "link"]).unwrap());
    let host = outside.as_array().unwrap().iter().find(|link| link["ifindex"] == index).unwrap();
    (index, host["ifname"].as_str().unwrap().to_owned())
}
