//! Walk 2: pod → pod of another node.

use caracal_lab::{Ping, Site};

use super::{DIRECT, MASQUERADE, assert_unseen, builder, netfilter, talk};

#[test]
fn walk_2_pods_of_two_nodes_talk_without_netfilter() {
    for (name, args) in [("walk-2", &DIRECT[..]), ("walk-2-masq", &MASQUERADE)] {
        let cluster = builder(name, 2, args).start().unwrap();
        let (a, b) = (cluster.node("n1").pod("a").unwrap(), cluster.node("n2").pod("b").unwrap());
        let _server = b.serve(&["tcp/80", "udp/53"]).unwrap();
        let counters = ["n1", "n2"].map(|node| netfilter(cluster.node(node)));
        for (own, other) in a.addresses().iter().zip(b.addresses()) {
            assert_eq!(talk(&a, *other).map(|seen| seen.ip()), [*own; 2]);
        }
        counters.iter().for_each(assert_unseen);
        cluster.end().unwrap();
    }
}

#[test]
fn walk_2_the_ttl_is_one_less_for_each_node() {
    let cluster = builder("walk-2-ttl", 2, &DIRECT).start().unwrap();
    let (a, b) = (cluster.node("n1").pod("a").unwrap(), cluster.node("n2").pod("b").unwrap());
    for (own, other) in a.addresses().iter().zip(b.addresses()) {
        let time_exceeded = if other.is_ipv4() { (11, 0) } else { (3, 0) };
        for ttl in [1, 2] {
            let hop = a.ping_with(&Ping::new(*other).ttl(ttl)).unwrap_err();
            assert_eq!(hop.icmp(), Some(time_exceeded), "{ttl}: {hop}");
        }
        a.ping_with(&Ping::new(*other).ttl(3).from(*own)).unwrap();
        // With a flow that is known already, too.
        let hop = a.ping_with(&Ping::new(*other).ttl(2)).unwrap_err();
        assert_eq!(hop.icmp(), Some(time_exceeded), "{hop}");
        b.ping_with(&Ping::new(*own).ttl(3)).unwrap();
    }
    cluster.end().unwrap();
}
