//! The plugin killed at each of its system calls: nothing is left, the address is free, the next ADD works.
//!
//! Each kill is followed by one of the recoveries in turn, with `CARACAL_KILL_ALL=1` by every one.

use std::{env, fs, thread, time::Duration};

use caracal_lab::{Lab, Node, NodeSpec, Site, bin, in_netns};
use caracal_stress::kill::Report;
use serde_json::{Value, json};

/// Nodes that share the work of a test: most of the time each waits for the kernel.
const NODES: usize = 3;

/// A plugin that makes fewer calls than this has not done its work.
const LEAST_CALLS: usize = 60;

/// With what Debian's plugins know.
const VENDORS_VERSION: &str = "1.0.0";

/// One way to use the plugin.
struct Variant {
    name: &'static str,
    conf: Value,
    vendor: Option<Value>,
    programs: bool,
    recoveries: &'static [&'static str],
    /// Plugins of others that it needs.
    others: &'static [&'static str],
}

/// Ranges with room for two pods.
fn ranges(families: usize) -> Value {
    let ranges = [
        json!([{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.2", "rangeEnd": "10.1.0.3"}]),
        json!([{"subnet": "fd00:1::/64", "rangeStart": "fd00:1::2", "rangeEnd": "fd00:1::3"}]),
    ];
    ranges.into_iter().take(families).collect()
}

fn host_local(families: usize) -> Value {
    let routes = json!([{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]);
    let routes: Value = routes.as_array().unwrap().iter().take(families).cloned().collect();
    json!({"type": "host-local", "dataDir": "/run/host-local", "ranges": ranges(families), "routes": routes})
}

impl Variant {
    /// The plugin by itself, with its own addresses.
    fn primary(name: &'static str, families: usize) -> Self {
        let ipam = json!({"type": "caracal-ipam", "ranges": ranges(families)});
        Self {
            name,
            conf: json!({"cniVersion": "1.1.0", "name": "net", "type": "caracal", "ipam": ipam}),
            vendor: None,
            programs: false,
            recoveries: &["Del", "Add", "Gc"],
            others: &[],
        }
    }

    fn with_programs(mut self) -> Self {
        self.programs = true;
        self.conf["policy"] = json!("required");
        self
    }

    /// Does it and says what was done.
    fn run(&self) -> String {
        let is_all = env::var("CARACAL_KILL_ALL").is_ok_and(|value| value == "1");
        let names: Vec<String> = (1..=NODES).map(|number| format!("n{number}")).collect();
        let builder = Lab::builder(&format!("kill-{}", self.name)).with(|spec| {
            spec.binaries = self.others.iter().map(|plugin| format!("/usr/lib/cni/{plugin}")).collect();
            spec.binaries.push("caracal".to_owned());
            spec.nodes = names.iter().map(|name| NodeSpec::new(name)).collect();
        });
        let lab = builder.start().unwrap();
        let shares = (1..).map(|first| self.share(first, is_all));
        let reports: Vec<Report> = thread::scope(|scope| {
            let workers: Vec<_> =
                lab.nodes().zip(shares).map(|(node, share)| scope.spawn(move || killed(node, &share))).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).collect()
        });
        lab.end().unwrap();
        self.judge(&reports)
    }

    /// What the node has to do that begins with call `first`.
    fn share(&self, first: usize, is_all: bool) -> Value {
        let Self { conf, vendor, programs, recoveries, .. } = self;
        json!({"conf": conf, "vendor": vendor, "programs": programs, "recoveries": recoveries,
            "all_recoveries": is_all, "first": first, "step": NODES})
    }

    fn judge(&self, reports: &[Report]) -> String {
        let points = |of: fn(&Report) -> usize| reports.iter().map(of).sum::<usize>();
        let (add, del) = (points(|report| report.add.points), points(|report| report.del.points));
        let (retries, attached) = (points(|report| report.add.retries), points(|report| report.add.attached));
        let last = |of: fn(&Report) -> usize| reports.iter().map(of).max().unwrap();
        let (last_add, last_del) = (last(|report| report.add.last), last(|report| report.del.last));
        assert!(last_add >= LEAST_CALLS && last_del >= LEAST_CALLS, "{last_add} calls of ADD, {last_del} of DEL");
        // Only what is killed between its last word and its end has nothing left to be done.
        assert!(attached * 4 <= retries, "{attached} of {retries} repeated ADDs found the attachment complete");
        format!("{}: {} kill points tried, {add} of ADD and {del} of DEL", self.name, add + del)
    }
}

/// Has a node do its share.
fn killed(node: &Node, work: &Value) -> Report {
    let pods = ["pod", "neighbour"].map(|name| node.machine().add_netns(name).unwrap());
    for pod in &pods {
        // A vendor's plugin would wait for seconds, and in vain where the machine has much to do.
        in_netns(pod, || fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0")).flatten().unwrap();
    }
    let worker = node.command(bin("caracal-stress").unwrap()).arg("kill").stdin(work.to_string());
    let said = worker.timeout(Duration::from_secs(3600)).run().unwrap();
    serde_json::from_str(&said).unwrap()
}

#[test]
fn with_routes_only() {
    println!("{}", Variant::primary("routes", 2).run());
}

#[test]
fn with_programs() {
    println!("{}", Variant::primary("programs", 2).with_programs().run());
}

#[test]
fn with_one_family() {
    println!("{}", Variant::primary("ipv4", 1).with_programs().run());
}

#[test]
fn behind_another_plugin() {
    let conf = json!({"cniVersion": VENDORS_VERSION, "name": "net", "type": "caracal"});
    let vendor = json!({"cniVersion": VENDORS_VERSION, "name": "net", "type": "ptp", "ipam": host_local(2)});
    let variant = Variant { conf, vendor: Some(vendor), ..Variant::primary("chained", 2) };
    println!("{}", Variant { others: &["ptp", "host-local"], ..variant.with_programs() }.run());
}

#[test]
fn with_addresses_from_another_plugin() {
    let conf = json!({"cniVersion": VENDORS_VERSION, "name": "net", "type": "caracal", "ipam": host_local(2)});
    // Debian's host-local knows neither GC nor the version that has it.
    let recoveries = &["Del", "Add"];
    let variant = Variant { conf, recoveries, ..Variant::primary("delegated", 2) };
    println!("{}", Variant { others: &["host-local"], ..variant.with_programs() }.run());
}
