//! Walk 12: several NICs, NICs that appear and change, and ways that change while connections run.

use std::net::IpAddr;

use caracal_integration::{Cluster, Connection};
use caracal_lab::{Node, Pod, Site, skip, wait_until};

use super::{DIRECT, MASQUERADE, PATIENCE, builder, carries, far::Far, mac, talk};

/// Whether the agent has put programs on an interface of the node.
fn is_noticed(node: &Node, nic: &str) -> bool {
    let script = format!("ls /sys/fs/bpf/caracal/*/links/from_net-$(cat /sys/class/net/{nic}/ifindex)");
    node.run("sh", ["-c", &script]).is_ok()
}

/// A node with somebody far behind two NICs, which the agent has noticed.
fn with_far(name: &str, args: &[&str]) -> (Cluster, Pod, Far) {
    let cluster = builder(name, 1, args).start().unwrap();
    let node = cluster.node("n1");
    let (a, far) = (node.pod("a").unwrap(), Far::beyond(node, 2));
    wait_until("the new NICs", PATIENCE, || (1..=2).all(|link| is_noticed(node, &Far::nic(link)))).unwrap();
    (cluster, a, far)
}

#[test]
fn walk_12_answers_may_come_by_another_nic() {
    for (name, args) in [("walk-12-return", &DIRECT[..]), ("walk-12-return-masq", &MASQUERADE)] {
        let (cluster, a, far) = with_far(name, args);
        let _server = far.serve_as_itself();
        for (out, back) in [(1, 1), (1, 2), (2, 1)] {
            Far::reached_by(cluster.node("n1"), out);
            far.reaches_by(back);
            let sources = Far::link_addresses(out).map(|[node, _]| node.parse::<IpAddr>().unwrap());
            for ((own, source), to) in a.addresses().iter().zip(sources).zip(far.addresses()) {
                let seen_as = if args == DIRECT { *own } else { source };
                assert_eq!(talk(&a, *to).map(|seen| seen.ip()), [seen_as; 2], "out by {out}, back by {back}");
            }
        }
        cluster.end().unwrap();
    }
}

#[test]
fn walk_12_a_connection_follows_its_route_to_another_nic() {
    let (cluster, a, far) = with_far("walk-12-move", &DIRECT);
    let _server = far.serve_as_itself();
    let mut connections: Vec<_> = far.addresses().iter().map(|to| Connection::open(&a, (*to, 80)).unwrap()).collect();
    for link in [2, 1] {
        Far::reached_by(cluster.node("n1"), link);
        for (n, connection) in connections.iter_mut().enumerate() {
            let nic = far.capture(&Far::nic(link)).unwrap();
            let marks = |round: u32| format!("link {link} family {n} round {round}");
            let mut rounds = 0;
            wait_until("packets by the other NIC", PATIENCE, || {
                rounds += 1;
                connection.echo(marks(rounds).as_bytes()).unwrap();
                rounds > 1
                    && nic
                        .wait_for("a packet", std::time::Duration::from_millis(300), |packet| {
                            carries(packet, marks(rounds).as_bytes()) || carries(packet, marks(rounds - 1).as_bytes())
                        })
                        .is_ok()
            })
            .unwrap();
        }
    }
    cluster.end().unwrap();
}

#[test]
fn walk_12_a_route_may_change_before_its_neighbour_is_known() {
    let (cluster, a, far) = with_far("walk-12-hasty", &DIRECT);
    let _server = far.serve_as_itself();
    let node = cluster.node("n1");
    for to in far.addresses() {
        let mut connection = Connection::open(&a, (*to, 80)).unwrap();
        for link in [2, 1, 2, 1] {
            for nic in [1, 2].map(Far::nic) {
                node.run("ip", ["neigh", "flush", "dev", &nic]).unwrap();
            }
            Far::reached_by(node, link);
            connection.echo(b"still here").unwrap();
        }
    }
    cluster.end().unwrap();
}

#[test]
fn walk_12_a_connection_follows_a_neighbour_to_another_mac() {
    for (name, args) in [("walk-12-mac", &DIRECT[..]), ("walk-12-mac-masq", &MASQUERADE)] {
        let (cluster, a, far) = with_far(name, args);
        let _server = far.serve_as_itself();
        let mut connections: Vec<_> =
            far.addresses().iter().map(|to| Connection::open(&a, (*to, 80)).unwrap()).collect();
        let before = mac(&far, "eth1");
        far.run("ip", ["link", "set", "eth1", "address", "02:00:00:00:00:99"]).unwrap();
        assert_ne!(mac(&far, "eth1"), before);
        // As a machine does that took an address over: it asks, which the node believes a second after it learnt otherwise.
        let node = cluster.node("n1");
        for [hop, own] in Far::link_addresses(1) {
            let is_known = || {
                far.run("ip", ["neigh", "flush", "dev", "eth1"]).unwrap();
                let _ = far.ping(hop.parse::<IpAddr>().unwrap());
                node.run("ip", ["neigh", "show", &own, "dev", "eth1"]).unwrap().contains("02:00:00:00:00:99")
            };
            wait_until("the new MAC address", PATIENCE, is_known).unwrap();
        }
        for connection in &mut connections {
            connection.echo(b"still here").unwrap();
        }
        cluster.end().unwrap();
    }
}

#[test]
fn walk_12_masquerading_follows_the_address_of_the_nic() {
    let (cluster, a, far) = with_far("walk-12-renumber", &MASQUERADE);
    let _server = far.serve_as_itself();
    let node = cluster.node("n1");
    for (new, [old, hop], own) in [
        ("198.18.1.77/24", &Far::link_addresses(1)[0], Far::OWN[0]),
        ("2001:db8:1::77/64", &Far::link_addresses(1)[1], Far::OWN[1]),
    ] {
        let own: IpAddr = own.parse().unwrap();
        let prefix = if own.is_ipv4() { 24 } else { 64 };
        assert_eq!(a.datagrams((own, 53)).unwrap().echo(b"before").unwrap().ip().to_string(), *old);
        node.run("ip", ["address", "del", &format!("{old}/{prefix}"), "dev", "eth1"]).unwrap();
        node.run("ip", ["address", "add", new, "dev", "eth1", "nodad"]).unwrap();
        node.run("ip", ["route", "replace", &own.to_string(), "via", hop]).unwrap();
        far.run("ip", ["route", "replace", "default", "via", new.split('/').next().unwrap(), "src", &own.to_string()])
            .unwrap();
        let seen_as = || a.datagrams((own, 53)).ok()?.echo(b"after").ok();
        wait_until("the new address", PATIENCE, || {
            seen_as().is_some_and(|seen| new.starts_with(&format!("{}/", seen.ip())))
        })
        .unwrap();
    }
    cluster.end().unwrap();
}

#[test]
fn walk_12_nothing_is_masqueraded_by_a_nic_that_is_not_named() {
    let cluster =
        builder("walk-12-named", 1, &[&MASQUERADE[..], &["--nic=eth0", "--nic=eth2"]].concat()).start().unwrap();
    let node = cluster.node("n1");
    let (a, far) = (node.pod("a").unwrap(), Far::beyond(node, 2));
    let _server = far.serve_as_itself();
    wait_until("the NIC that appeared", PATIENCE, || is_noticed(node, "eth2")).unwrap();
    for to in far.addresses() {
        let before = cluster.counted("n1", "no_source").unwrap();
        assert!(a.ping(*to).is_err());
        assert_eq!(cluster.counted("n1", "no_source").unwrap() - before, 1);
    }
    Far::reached_by(node, 2);
    far.reaches_by(2);
    for to in far.addresses() {
        talk(&a, *to);
    }
    assert!(!is_noticed(node, "eth1"));
    cluster.end().unwrap();
}

#[test]
fn walk_12_a_nic_may_be_a_vlan() {
    for (name, args) in [("walk-12-vlan", &DIRECT[..]), ("walk-12-vlan-masq", &MASQUERADE)] {
        let (cluster, a, far) = with_far(name, args);
        let node = cluster.node("n1");
        let vlan = ["link", "add", "link", "eth1", "name", "eth1.5", "type", "vlan", "id", "5"];
        if let Err(error) = node.run("ip", vlan) {
            skip(&format!("this kernel makes no VLAN interface: {error:#}"));
            return;
        }
        far.run("ip", vlan).unwrap();
        for (site, end) in [(node as &dyn VlanEnd, 1), (&far, 2)] {
            site.up(end);
        }
        let _server = far.serve_as_itself();
        for (own, hop) in Far::OWN.iter().zip(["198.18.5.2", "2001:db8:5::2"]) {
            node.run("ip", ["route", "replace", own, "via", hop]).unwrap();
        }
        for (hop, own) in ["198.18.5.1", "2001:db8:5::1"].iter().zip(Far::OWN) {
            far.run("ip", ["route", "replace", "default", "via", hop, "src", own]).unwrap();
        }
        for to in far.addresses() {
            wait_until("the new NIC", PATIENCE, || a.ping(*to).is_ok()).unwrap();
            talk(&a, *to);
        }
        cluster.end().unwrap();
    }
}

/// Either end of the VLAN.
trait VlanEnd {
    fn up(&self, end: u8);
}

impl<S: Site> VlanEnd for S {
    fn up(&self, end: u8) {
        self.run("ip", ["link", "set", "eth1.5", "up"]).unwrap();
        for ip in [format!("198.18.5.{end}/24"), format!("2001:db8:5::{end}/64")] {
            self.run("ip", ["address", "add", &ip, "dev", "eth1.5", "nodad"]).unwrap();
        }
    }
}
