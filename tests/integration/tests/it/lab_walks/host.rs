//! Walk 7: host ↔ pod.

use caracal_integration::Connection;
use caracal_lab::Site;

use super::{DIRECT, MASQUERADE, builder, talk};

#[test]
fn walk_7_a_node_and_its_pods_talk_both_ways() {
    for (name, args) in [("walk-7", &DIRECT[..]), ("walk-7-masq", &MASQUERADE)] {
        let cluster = builder(name, 2, args).start().unwrap();
        let (near, far) = (cluster.node("n1"), cluster.node("n2"));
        let a = near.pod("a").unwrap();
        let listens = ["tcp/80", "udp/53"];
        let _servers = [a.serve(&listens).unwrap(), near.serve(&listens).unwrap(), far.serve(&listens).unwrap()];
        for (node, pod) in near.addresses().iter().zip(a.addresses()) {
            // Probes, as a kubelet sends them.
            assert_eq!(talk(near, *pod).map(|seen| seen.ip()), [*node; 2]);
            assert_eq!(talk(&a, *node).map(|seen| seen.ip()), [*pod; 2]);
            // A pod that was asked before it asks, and the other way round.
            let mut asked = Connection::open(near, (*pod, 80)).unwrap();
            let mut asks = Connection::open(&a, (*node, 80)).unwrap();
            for _ in 0..3 {
                asked.echo(b"probe").unwrap();
                asks.echo(b"question").unwrap();
            }
        }
        // Another node's host is beyond the NIC. It asks a pod that has not asked it: their pings have one identifier.
        let b = near.pod("b").unwrap();
        let _server = b.serve(&listens).unwrap();
        let mut asked: Vec<_> = b.addresses().iter().rev().collect();
        for ((own, pod), other) in near.addresses().iter().zip(a.addresses()).zip(far.addresses()) {
            let seen_as = if args == DIRECT { *pod } else { *own };
            assert_eq!(talk(&a, *other).map(|seen| seen.ip()), [seen_as; 2]);
            assert_eq!(talk(far, *asked.pop().unwrap()).map(|seen| seen.ip()), [*other; 2]);
        }
        cluster.end().unwrap();
    }
}

#[test]
fn walk_7_a_pod_and_another_node_may_ping_each_other_with_one_identifier() {
    let cluster = builder("walk-7-echo", 2, &MASQUERADE).start().unwrap();
    let a = cluster.node("n1").pod("a").unwrap();
    let far = cluster.node("n2");
    for (pod, other) in a.addresses().iter().zip(far.addresses()) {
        a.ping(*other).unwrap();
        far.ping(*pod).unwrap();
    }
    cluster.end().unwrap();
}
