//! Behind Debian's ptp and bridge, with a data plane pinned.

use std::fs;

use caracal_datapath::{Pinned, Root, abi::Endpoint};
use serde_json::{Value, json};

use crate::{
    dataplane::{guarded, load},
    list::{List, host_local_leases, ours, vendor},
    node::{Node, Pod, addresses, echo},
};

const V4: &str = "10.1.0.0/24";
const V6: &str = "fd00:1::/64";
const VERSIONS: [&str; 4] = ["0.3.0", "0.3.1", "0.4.0", "1.0.0"];

/// A pod's endpoint, as it must be.
fn endpoint(node: &Node, pod: &Pod) -> Endpoint {
    let inside = pod.link("eth0").unwrap();
    let outside = node.link_of_index(inside.peer.unwrap()).unwrap();
    Endpoint {
        ifindex: outside.index,
        // The plugin cannot know who comes after it.
        flags: Endpoint::QUEUED | Endpoint::BY_HOST,
        pod_mac: inside.mac.unwrap(),
        host_mac: outside.mac.unwrap(),
        ..Endpoint::default()
    }
}

#[track_caller]
fn is_known(node: &Node, pinned: &Pinned, pod: &Pod, result: &Value) {
    let known = pinned.endpoints().unwrap();
    for ip in addresses(result) {
        let found = known.iter().find(|(addr, _)| *addr == ip).map(|(_, endpoint)| *endpoint);
        assert_eq!(found, Some(endpoint(node, pod)), "{ip}");
    }
}

/// Two pods that live behind a vendor's plugin, and are guarded while they do.
fn live(kind: &str, version: &'static str, subnets: &[&str]) {
    let node = Node::enter();
    let pinned = load();
    let list = List { version, plugins: vec![vendor(kind, subnets), ours()] };
    let (a, b) = (node.pod("a"), node.pod("b"));
    let (a_results, b_results) = (list.add(&a), list.add(&b));
    for (pod, results) in [(&a, &a_results), (&b, &b_results)] {
        assert_eq!(results[0], results[1], "the vendor's result is passed on as it is");
        assert_eq!(addresses(&results[1]).len(), subnets.len());
        is_known(&node, &pinned, pod, &results[1]);
        if version >= "0.4.0" {
            list.check(pod, &results[1]);
        }
    }
    assert_eq!(guarded().len(), 2);
    for (from, to) in addresses(&a_results[1]).iter().zip(addresses(&b_results[1])) {
        assert_eq!(a.run(|| echo(&b, to)), Some(*from), "{kind} {version}");
        assert!(echo(&b, to).is_some(), "host to pod");
    }
    let flows = pinned.flows4().unwrap().entries().unwrap().len() + pinned.flows6().unwrap().entries().unwrap().len();
    assert!(flows >= 2 * subnets.len(), "both directions went through the programs: {flows}");
    list.del(&a, &a_results[1]);
    list.del(&a, &a_results[1]);
    is_known(&node, &pinned, &b, &b_results[1]);
    assert_eq!(pinned.endpoints().unwrap().len(), subnets.len(), "the other pod's");
    b.remove();
    list.del(&b, &b_results[1]);
    assert_eq!(pinned.endpoints().unwrap(), []);
    assert_eq!((guarded().len(), host_local_leases()), (0, Vec::new()));
    assert_eq!(records(), [] as [String; 0]);
}

fn records() -> Vec<String> {
    let listing = fs::read_dir("/run/caracal/endpoints/net").unwrap();
    listing.map(|item| item.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn after_ptp() {
    for version in VERSIONS {
        live("ptp", version, &[V4]);
    }
}

#[test]
fn after_bridge() {
    for version in VERSIONS {
        live("bridge", version, &[V4]);
    }
}

#[test]
fn with_both_families() {
    live("ptp", "0.3.0", &[V4, V6]);
    live("ptp", "1.0.0", &[V4, V6]);
    live("bridge", "1.0.0", &[V4, V6]);
}

#[test]
fn twice_in_one_list() {
    for version in VERSIONS {
        let node = Node::enter();
        let pinned = load();
        let list = List { version, plugins: vec![vendor("ptp", &[V4]), ours(), ours()] };
        let pod = node.pod("a");
        let results = list.add(&pod);
        assert_eq!((&results[1], &results[2]), (&results[0], &results[0]));
        is_known(&node, &pinned, &pod, &results[2]);
        assert_eq!((pinned.endpoints().unwrap().len(), guarded().len(), records().len()), (1, 1, 1));
        if version >= "0.4.0" {
            list.check(&pod, &results[2]);
        }
        list.del(&pod, &results[2]);
        assert_eq!((pinned.endpoints().unwrap().len(), guarded().len(), records().len()), (0, 0, 0));
        assert_eq!(host_local_leases(), [] as [String; 0]);
    }
}

#[test]
fn plugins_after_ours_find_what_they_need() {
    for version in ["0.3.1", "1.0.0"] {
        let node = Node::enter();
        let pinned = load();
        let tuning = json!({"type": "tuning", "sysctl": {"net.core.somaxconn": "500"}});
        let limits = json!({"ingressRate": 80_000_000, "ingressBurst": 80_000_000, "egressRate": 80_000_000,
            "egressBurst": 80_000_000});
        let bandwidth = json!({"type": "bandwidth", "runtimeConfig": {"bandwidth": limits}});
        let list = List { version, plugins: vec![vendor("ptp", &[V4]), ours(), tuning, bandwidth] };
        let (a, b) = (node.pod("a"), node.pod("b"));
        let (a_results, b_results) = (list.add(&a), list.add(&b));
        assert_eq!(a_results[0], a_results[2]);
        assert_eq!(a.run(|| fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap()).trim(), "500");
        let to = addresses(&b_results[1])[0];
        assert_eq!(a.run(|| echo(&b, to)), Some(addresses(&a_results[1])[0]));
        for (pod, results) in [(&a, &a_results), (&b, &b_results)] {
            list.del(pod, results.last().unwrap());
        }
        assert_eq!((pinned.endpoints().unwrap().len(), guarded().len()), (0, 0));
        assert_eq!(host_local_leases(), [] as [String; 0]);
    }
}

#[test]
fn del_works_whatever_is_lost() {
    for version in VERSIONS {
        let node = Node::enter();
        let pinned = load();
        let list = List { version, plugins: vec![vendor("ptp", &[V4, V6]), ours()] };
        let gone = || (pinned.endpoints().unwrap().len(), guarded().len(), host_local_leases().len());
        let record = |pod: &Pod| format!("/run/caracal/endpoints/net/{}:eth0", pod.name);

        let pod = node.pod("no-result");
        list.add(&pod);
        for plugin in list.plugins.iter().rev() {
            list.call("DEL", &pod, plugin, None).ok();
        }
        assert_eq!(gone(), (0, 0, 0));

        let pod = node.pod("no-record");
        let results = list.add(&pod);
        fs::remove_file(record(&pod)).unwrap();
        list.del(&pod, &results[1]);
        assert_eq!(gone(), (0, 0, 0));

        let pod = node.pod("no-record-and-no-namespace");
        let results = list.add(&pod);
        fs::write(record(&pod), "").unwrap();
        let ifname = node.link_of_index(pod.link("eth0").unwrap().peer.unwrap()).unwrap().name;
        pod.remove();
        node.wait_for_end_of(&ifname);
        list.del(&pod, &results[1]);
        assert_eq!(gone(), (0, 0, 0));

        let pod = node.pod("no-link");
        let results = list.add(&pod);
        node.delete(&node.link_of_index(pod.link("eth0").unwrap().peer.unwrap()).unwrap());
        list.del(&pod, &results[1]);
        assert_eq!(gone(), (0, 0, 0));
        assert_eq!(records(), [] as [String; 0]);
    }
}

#[test]
fn del_never_stops_the_vendors() {
    let node = Node::enter();
    let pinned = load();
    let list = List { version: "0.3.0", plugins: vec![vendor("ptp", &[V4]), ours()] };
    let pod = node.pod("a");
    let results = list.add(&pod);
    let root = Root::default();
    // A map of another shape where the endpoints of IPv4 should be.
    fs::rename(root.map("ENDPOINTS4"), "/sys/fs/bpf/endpoints4").unwrap();
    fs::rename(root.map("FLOWS4"), root.map("ENDPOINTS4")).unwrap();
    let answer = list.call("DEL", &pod, &list.plugins[1], None);
    assert_eq!((answer.exit, &answer.document), (0, &Value::Null));
    assert!(answer.stderr.contains("GC or the agent finishes it"), "{}", answer.stderr);
    assert_eq!(records(), ["a:eth0"], "what is left to do is known");
    list.del(&pod, &results[1]);
    assert_eq!(host_local_leases(), [] as [String; 0]);
    fs::rename(root.map("ENDPOINTS4"), root.map("FLOWS4")).unwrap();
    fs::rename("/sys/fs/bpf/endpoints4", root.map("ENDPOINTS4")).unwrap();
    assert_eq!(pinned.endpoints().unwrap().len(), 1);
    list.del(&pod, &results[1]);
    assert_eq!((pinned.endpoints().unwrap().len(), records().len()), (0, 0));
}
