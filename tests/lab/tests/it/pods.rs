//! Pods, attached by plugins of Debian.

use std::{net::IpAddr, time::Instant};

use caracal_lab::{Lab, LanKind, NodeSpec, PodOptions, Site, require_root};
use serde_json::{Value, json};

use crate::support::{bridge, debian_plugin, ptp, two_nodes_with};

/// Every family that they have, both protocols and ping, both ways, and with the sender's own address.
fn assert_reach_each_other(a: &impl Site, b: &impl Site, families: usize) {
    for addresses in [a.addresses(), b.addresses()] {
        assert_eq!(addresses.len(), families, "{addresses:?}");
    }
    one_way(a, b);
    one_way(b, a);
}

fn one_way(from: &impl Site, to: &impl Site) {
    let family_of = |ip: &IpAddr| from.addresses().iter().find(|own| own.is_ipv4() == ip.is_ipv4()).copied();
    let _server = to.serve(&["tcp/8080", "udp/8080"]).unwrap();
    for destination in to.addresses() {
        let source = family_of(destination).unwrap();
        from.ping(*destination).unwrap();
        let replies = [
            from.tcp_roundtrip((*destination, 8080), b"hello").unwrap(),
            from.udp_roundtrip((*destination, 8080), b"hello").unwrap(),
        ];
        for reply in replies {
            assert_eq!((reply.server.as_str(), reply.peer.ip()), (to.label(), source));
        }
    }
}

#[test]
fn pods_of_ptp_reach_each_other_on_a_node_and_across() {
    if !require_root() {
        return;
    }
    let lab = two_nodes_with("ptp", &["ptp", "host-local"], ptp()).start().unwrap();
    let started = Instant::now();
    let a = lab.node("n1").pod("a").unwrap();
    println!("first pod after {:?}, its plugin took {:?}", started.elapsed(), a.runs()[0].elapsed);
    let b = lab.node("n1").pod("b").unwrap();
    let c = lab.node("n2").pod("c").unwrap();
    assert_reach_each_other(&a, &b, 1);
    assert_reach_each_other(&a, &c, 1);
    one_way(lab.client("c1"), &c);
}

#[test]
fn pods_of_bridge_reach_each_other_behind_a_router_too() {
    if !require_root() {
        return;
    }
    let lab = two_nodes_with("br", &["bridge", "host-local"], bridge()).lan(LanKind::Routed).start().unwrap();
    let a = lab.node("n1").pod("a").unwrap();
    let b = lab.node("n1").pod("b").unwrap();
    let c = lab.node("n2").pod("c").unwrap();
    assert_reach_each_other(&a, &b, 2);
    assert_reach_each_other(&a, &c, 2);
}

#[test]
fn a_deleted_pod_is_gone_and_its_address_is_free() {
    if !require_root() {
        return;
    }
    let lab = two_nodes_with("delete", &["ptp", "host-local"], ptp()).start().unwrap();
    let node = lab.node("n1");
    let state =
        || node.run("sh", ["-c", "ls /run/netns /var/lib/cni/results /var/lib/cni/networks/net; ip -br link"]).unwrap();
    let with_pod = |name: &str| {
        let pod = node.pod(name).unwrap();
        let ip = pod.ip4().to_string();
        let with = state();
        assert!(with.contains("veth") && with.contains(&ip) && with.contains("net-"), "{with}");
        pod.delete().unwrap();
        let without = state();
        assert!(!without.contains("veth") && !without.contains(&ip) && !without.contains("net-"), "{without}");
    };
    with_pod("a");
    // The same name, at once: a new sandbox.
    with_pod("a");
}

#[test]
fn a_chain_passes_results_on_and_check_goes_through_it() {
    if !require_root() {
        return;
    }
    let conflist = json!({"cniVersion": "1.0.0", "name": "net", "plugins": [
        ptp()["plugins"][0],
        {"type": "tuning", "mtu": 1300, "capabilities": {"mac": true}},
    ]});
    let lab = two_nodes_with("chain", &["ptp", "tuning", "host-local"], conflist).start().unwrap();
    let mut options = PodOptions::default();
    options.capabilities.insert("mac".to_owned(), json!("02:00:00:00:00:77"));
    let pod = lab.node("n1").pod_with("a", &options).unwrap();
    let [first, second] = pod.runs() else { panic!("{} plugins ran", pod.runs().len()) };
    let given: Value = serde_json::from_str(&second.stdin).unwrap();
    assert_eq!(given["prevResult"], serde_json::from_str::<Value>(&first.stdout).unwrap());
    let link = pod.run("ip", ["link", "show", "eth0"]).unwrap();
    assert!(link.contains("mtu 1300") && link.contains("02:00:00:00:00:77"), "{link}");

    pod.check().unwrap();
    pod.run("ip", ["link", "set", "eth0", "mtu", "1400"]).unwrap();
    let error = format!("{:#}", pod.check().unwrap_err());
    assert!(error.contains("CHECK of plugin tuning") && error.contains("1300"), "{error}");
}

#[test]
fn an_add_that_fails_leaves_no_pod() {
    if !require_root() {
        return;
    }
    let conflist = json!({"cniVersion": "1.0.0", "name": "net", "plugins": [
        ptp()["plugins"][0],
        {"type": "tuning", "sysctl": {"net.ipv4.no_such_sysctl": "1"}},
    ]});
    let lab = two_nodes_with("addfails", &["ptp", "tuning", "host-local"], conflist).start().unwrap();
    let node = lab.node("n1");
    let error = format!("{:#}", node.pod("a").unwrap_err());
    assert!(error.contains("making pod n1/a") && error.contains("ADD of plugin tuning: code"), "{error}");
    assert_eq!(node.run("sh", ["-c", "ls /run/netns; ip -br link | grep -c veth; true"]).unwrap(), "0\n");
    let reserved = node.run("sh", ["-c", "ls /var/lib/cni/networks/net | grep -v -e lock -e last; true"]).unwrap();
    assert_eq!(reserved, "", "the address was given back");
}

#[test]
fn a_node_without_configuration_or_plugin_says_so() {
    if !require_root() {
        return;
    }
    let lab = Lab::builder("none").node(NodeSpec::new("n1").binaries([debian_plugin("ptp")])).start().unwrap();
    let node = lab.node("n1");
    let error = format!("{:#}", node.pod("a").unwrap_err());
    assert!(error.contains("no network configuration") && error.contains("/etc/cni/net.d"), "{error}");
    node.set_conflist(&json!({"cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "absent"}]})).unwrap();
    let error = format!("{:#}", node.pod("a").unwrap_err());
    assert!(error.contains("plugin absent is not in /opt/cni/bin"), "{error}");
    let error = format!("{:#}", node.set_conflist(&json!({"name": "${nodeIP9}"})).unwrap_err());
    assert!(error.contains("nodeIP9"), "{error}");
    let error = format!("{:#}", node.install("/tmp/no-such-plugin").unwrap_err());
    assert!(error.contains("/tmp/no-such-plugin"), "{error}");
}
