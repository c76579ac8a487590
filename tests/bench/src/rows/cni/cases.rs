//! What is asked of us, and of whom else: the same pod by other projects' plugins.

use serde_json::{Value, json};

use self::Families::{Both, V4};

/// The issue's: an ADD and a DEL so many times faster than the peer's.
const TARGET: Option<f64> = Some(3.0);
/// The same of an ADD for which the peer waits until its IPv6 address is known to be nobody else's.
const TARGET_NO_DAD: Option<f64> = Some(100.0);

/// A pod, and who attaches it.
#[derive(Debug)]
pub struct Case {
    /// What is special about it.
    pub name: &'static str,
    /// Our programs are on the node, and an agent.
    pub programs: bool,
    /// Our list.
    pub ours: Vec<Value>,
    /// What it is compared with.
    pub peer: Vec<Value>,
    /// How that is called.
    pub beside: &'static str,
    /// What both begin with: then its time is no part of theirs.
    pub base: Option<Vec<Value>>,
    /// Turns of each.
    pub turns: u32,
    /// Containers in a turn, ours and the peer's.
    pub containers: [usize; 2],
    /// Calls at the same time.
    pub parallel: usize,
    /// How many times faster ADD and DEL are to be.
    pub targets: [Option<f64>; 2],
}

impl Case {
    /// One pod after the other, of which nothing is demanded.
    fn new(name: &'static str, ours: Vec<Value>, peer: Vec<Value>, beside: &'static str) -> Self {
        let containers = [12; 2];
        Self {
            name,
            programs: true,
            ours,
            peer,
            beside,
            base: None,
            turns: 5,
            containers,
            parallel: 1,
            targets: [None; 2],
        }
    }

    fn v4(name: &'static str) -> Self {
        let one = Self::new(name, vec![ours(V4)], vec![ptp(V4, PEERS)], "ptp + host-local");
        Self { turns: 8, containers: [24; 2], targets: [TARGET; 2], ..one }
    }

    /// The peer takes seconds.
    fn dual_stack(name: &'static str) -> Self {
        let one = Self::new(name, vec![ours(Both)], vec![ptp(Both, PEERS)], "ptp + host-local, dual stack");
        Self { turns: 4, containers: [24, 2], targets: [TARGET_NO_DAD, TARGET], ..one }
    }
}

/// All of them, those without programs first.
pub fn all() -> Vec<Case> {
    let at_once = 8;
    let bandwidth = with("bandwidth", json!({ "type": "bandwidth" }));
    let portmap = with("portMappings", json!({ "type": "portmap" }));
    vec![
        Case { programs: false, ..Case::v4("IPv4, routes only") },
        Case::v4("IPv4"),
        Case { parallel: at_once, ..Case::v4("IPv4, 8 at once") },
        Case::dual_stack("dual stack"),
        Case { parallel: at_once, turns: 2, containers: [24, at_once], ..Case::dual_stack("dual stack, 8 at once") },
        Case::new(
            "bandwidth",
            vec![with("bandwidth", ours(V4))],
            vec![ptp(V4, PEERS), bandwidth],
            "ptp + host-local + bandwidth",
        ),
        Case::new(
            "hostPort",
            vec![with("portMappings", ours(V4))],
            vec![ptp(V4, PEERS), portmap],
            "ptp + host-local + portmap",
        ),
        chained("chained, tcx", "tcx"),
        chained("chained, filter", "filter"),
    ]
}

/// What a plugin adds to the ADD of ptp; the peer is the smallest of the CNI project's.
fn chained(name: &'static str, attach: &str) -> Case {
    let tuning = json!({ "type": "tuning", "sysctl": { "net.core.somaxconn": "500" } });
    let ours = vec![ptp(V4, OURS), json!({ "type": "caracal", "attach": attach })];
    let base = Some(vec![ptp(V4, BASE)]);
    Case { base, ..Case::new(name, ours, vec![ptp(V4, PEERS), tuning], "what tuning adds to ptp") }
}

/// Subnets of networks that live at the same time: each has one.
const OURS: u8 = 1;
const PEERS: u8 = 2;
const BASE: u8 = 3;

/// Families of a pod's addresses.
#[derive(Clone, Copy)]
enum Families {
    V4,
    Both,
}

fn ours(families: Families) -> Value {
    json!({ "type": "caracal", "ipam": ipam("caracal-ipam", families, OURS) })
}

fn ptp(families: Families, network: u8) -> Value {
    json!({ "type": "ptp", "ipam": ipam("host-local", families, network) })
}

fn ipam(kind: &str, families: Families, network: u8) -> Value {
    let v4 = json!([{ "subnet": format!("10.250.{network}.0/24") }]);
    let v6 = json!([{ "subnet": format!("fd00:250:{network}::/64") }]);
    let (ranges, routes) = match families {
        V4 => (json!([v4]), json!([{ "dst": "0.0.0.0/0" }])),
        Both => (json!([v4, v6]), json!([{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }])),
    };
    json!({ "type": kind, "ranges": ranges, "routes": routes })
}

fn with(capability: &str, mut plugin: Value) -> Value {
    plugin["capabilities"][capability] = json!(true);
    plugin
}
