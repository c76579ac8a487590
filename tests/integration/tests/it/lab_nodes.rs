//! Pods of two nodes: the agent's routes, and the kernel's forwarding between.

use std::{net::SocketAddr, time::Duration};

use caracal_integration::Cluster;
use caracal_lab::{Site, wait_until};

#[test]
fn pods_of_two_nodes_reach_each_other() {
    let cluster = Cluster::start("nodes", 2).unwrap();
    let a = cluster.node("n1").pod("a").unwrap();
    let b = cluster.node("n2").pod("b").unwrap();
    let _server = b.serve(&["tcp/80", "udp/53"]).unwrap();
    for (own, other) in a.addresses().iter().zip(b.addresses()) {
        a.ping(*other).unwrap();
        let reply = a.tcp_roundtrip(SocketAddr::new(*other, 80), &vec![1; 50_000]).unwrap();
        assert_eq!((reply.peer.ip(), reply.bytes.len()), (*own, 50_000));
        assert_eq!(a.udp_roundtrip(SocketAddr::new(*other, 53), b"?").unwrap().peer.ip(), *own);
    }
    cluster.end().unwrap();
}

#[test]
fn the_agents_routes_follow_the_manifests_and_no_others_are_touched() {
    let cluster = Cluster::start("routes", 2).unwrap();
    let node = cluster.node("n1");
    let routes = |which: &str| node.run("ip", ["route", "show", "proto", which]).unwrap();
    let range = cluster.node("n2").pod_cidrs()[0].to_string();
    assert!(routes("202").contains(&range), "{}", routes("202"));
    node.run("ip", ["route", "add", "203.0.113.0/24", "dev", "lo", "proto", "77"]).unwrap();

    node.run("rm", ["/run/caracal/manifests/nodes.yaml"]).unwrap();
    wait_until("the route to go", Duration::from_secs(10), || routes("202").is_empty()).unwrap();
    assert!(routes("77").contains("203.0.113.0/24"));
    cluster.end().unwrap();
}
