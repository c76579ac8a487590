//! Walk 4: pod → outside.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use caracal_integration::{Cluster, Connection};
use caracal_lab::{Pod, Site, wait_until};

use super::{DIRECT, LENT, MASQUERADE, PATIENCE, assert_unseen, netfilter, route_to_pods, talk, with_outside};

/// The node's address of the same family.
fn node_address(cluster: &Cluster, like: IpAddr) -> IpAddr {
    *cluster.node("n1").addresses().iter().find(|ip| ip.is_ipv4() == like.is_ipv4()).unwrap()
}

#[test]
fn walk_4_pods_are_masqueraded_as_their_node_without_netfilter() {
    let cluster = with_outside("walk-4", 1, &MASQUERADE);
    let a = cluster.node("n1").pod("a").unwrap();
    let outside = cluster.client("outside");
    let _server = outside.serve(&["tcp/80", "udp/53"]).unwrap();
    let counters = netfilter(cluster.node("n1"));
    for to in outside.addresses() {
        for seen in talk(&a, *to) {
            assert_eq!(seen.ip(), node_address(&cluster, *to));
            assert!(LENT.contains(&seen.port()), "{seen}");
        }
    }
    assert_unseen(&counters);
    // A port that may be lent is kept.
    assert_eq!(Connection::open_from(&a, 25_000, (outside.ip4(), 80)).unwrap().seen_as().port(), 25_000);
    cluster.end().unwrap();
}

#[test]
fn walk_4_pods_keep_their_addresses_where_nobody_masquerades() {
    let cluster = with_outside("walk-4-plain", 1, &DIRECT);
    let a = cluster.node("n1").pod("a").unwrap();
    let outside = cluster.client("outside");
    let _servers = [outside.serve(&["tcp/80", "udp/53"]).unwrap(), a.serve(&["tcp/80", "udp/53"]).unwrap()];
    let counters = netfilter(cluster.node("n1"));
    for (own, other) in a.addresses().iter().zip(outside.addresses()) {
        assert_eq!(talk(&a, *other).map(|seen| seen.ip()), [*own; 2]);
        assert_eq!(talk(outside, *own).map(|seen| seen.ip()), [*other; 2]);
    }
    assert_unseen(&counters);
    cluster.end().unwrap();
}

#[test]
fn walk_4_networks_that_know_the_way_to_pods_see_them_as_they_are() {
    let inside = ["--no-masquerade-to=172.31.0.0/16", "--no-masquerade-to", "fd00:1ab::/48"];
    let cluster = with_outside("walk-4-inside", 1, &[&MASQUERADE[..], &inside].concat());
    let node = cluster.node("n1");
    let a = node.pod("a").unwrap();
    let outside = cluster.client("outside");
    route_to_pods(outside, node);
    for (ip, via) in [("192.0.2.9/32", outside.ip4().into()), ("2001:db8::9/128", IpAddr::from(outside.ip6()))] {
        outside.run("ip", ["address", "add", ip, "dev", "lo"]).unwrap();
        node.run("ip", ["route", "add", ip, "via", &via.to_string()]).unwrap();
    }
    let others = ["192.0.2.9", "2001:db8::9"].map(|ip| ip.parse::<IpAddr>().unwrap());
    // Each by itself, so that it answers from where it was asked.
    let all = outside.addresses().iter().chain(&others);
    let listens = all.flat_map(|ip| [("tcp", 80), ("udp", 53)].map(|(kind, port)| (kind, SocketAddr::new(*ip, port))));
    let listens: Vec<String> = listens.map(|(kind, at)| format!("{kind}/{at}")).collect();
    let _server = outside.serve(&listens.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    for ((own, told), other) in a.addresses().iter().zip(outside.addresses()).zip(others) {
        assert_eq!(talk(&a, *told).map(|seen| seen.ip()), [*own; 2]);
        assert_eq!(talk(&a, other).map(|seen| seen.ip()), [node_address(&cluster, other); 2]);
    }
    cluster.end().unwrap();
}

#[test]
fn walk_4_many_pods_with_the_same_ports_are_told_apart() {
    let cluster = with_outside("walk-4-many", 1, &MASQUERADE);
    let pods = ["a", "b", "c"].map(|name| cluster.node("n1").pod(name).unwrap());
    let outside = cluster.client("outside");
    let _server = outside.serve(&["tcp/80", "udp/53"]).unwrap();
    for to in outside.addresses() {
        let own_ports = || (25_000..25_020).chain(40_000..40_005);
        let each = || pods.iter().flat_map(|pod| own_ports().map(move |port| (pod, port)));
        let open = |(pod, port): (&Pod, u16)| Connection::open_from(pod, port, (*to, 80)).unwrap();
        let mut connections: Vec<Connection> = each().map(open).collect();
        let seen: BTreeSet<SocketAddr> = connections.iter().map(Connection::seen_as).collect();
        assert_eq!(seen.len(), connections.len());
        assert!(seen.iter().all(|seen| LENT.contains(&seen.port()) && seen.ip() == node_address(&cluster, *to)));
        for (connection, (pod, port)) in connections.iter_mut().zip(each()) {
            connection.echo(format!("{} {port}", pod.label()).as_bytes()).unwrap();
        }
        let sockets: Vec<_> = each().map(|(pod, port)| pod.datagrams_from(port, (*to, 53)).unwrap()).collect();
        let seen: Vec<SocketAddr> = sockets.iter().map(|socket| socket.echo(b"first").unwrap()).collect();
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len());
        // And stay who they are.
        let again: Vec<SocketAddr> = sockets.iter().map(|socket| socket.echo(b"second").unwrap()).collect();
        assert_eq!(seen, again);
    }
    cluster.end().unwrap();
}

#[test]
fn walk_4_when_every_port_is_lent_that_is_counted_and_others_are_not_concerned() {
    let ports = ["--masquerade-ports", "24000-24003"];
    let cluster = with_outside("walk-4-full", 1, &[&MASQUERADE[..], &ports].concat());
    let [a, b] = ["a", "b"].map(|name| cluster.node("n1").pod(name).unwrap());
    let outside = cluster.client("outside");
    let _server = outside.serve(&["udp/53", "udp/54"]).unwrap();
    for (n, to) in (1..).zip(outside.addresses()) {
        let sockets: Vec<_> = (0..4).map(|_| a.datagrams((*to, 53)).unwrap()).collect();
        let seen: BTreeSet<u16> = sockets.iter().map(|socket| socket.echo(b"mine").unwrap().port()).collect();
        assert_eq!(seen, (24_000..=24_003).collect());
        let late = b.datagrams((*to, 53)).unwrap();
        late.send(b"none left").unwrap();
        wait_until("the packet that got no port", PATIENCE, || cluster.counted("n1", "no_port").unwrap() == n).unwrap();
        // A port is lent for one remote port: another has its own.
        b.datagrams((*to, 54)).unwrap().echo(b"elsewhere").unwrap();
        for socket in &sockets {
            socket.echo(b"still mine").unwrap();
        }
    }
    // What a pod had is free with its end.
    a.delete().unwrap();
    for to in outside.addresses() {
        b.datagrams((*to, 53)).unwrap().echo(b"free").unwrap();
    }
    cluster.end().unwrap();
}

#[test]
fn walk_4_the_nodes_own_processes_are_not_concerned() {
    let cluster = with_outside("walk-4-node", 1, &MASQUERADE);
    let node = cluster.node("n1");
    let a = node.pod("a").unwrap();
    let outside = cluster.client("outside");
    let _servers = [outside.serve(&["tcp/80", "udp/53"]).unwrap(), node.serve(&["tcp/25000", "udp/25000"]).unwrap()];
    for (own, other) in node.addresses().iter().zip(outside.addresses()) {
        // The pod has the port that a service of the node listens on.
        let mut pods = Connection::open_from(&a, 25_000, (*other, 80)).unwrap();
        assert_eq!(pods.seen_as(), SocketAddr::new(*own, 25_000));
        let socket = a.datagrams_from(25_000, (*other, 53)).unwrap();
        assert_eq!(socket.echo(b"pod").unwrap(), SocketAddr::new(*own, 25_000));
        outside.tcp_roundtrip((*own, 25_000), b"to the node").unwrap();
        outside.udp_roundtrip((*own, 25_000), b"to the node").unwrap();
        assert_eq!(talk(node, *other).map(|seen| seen.ip()), [*own; 2]);
        outside.ping(*own).unwrap();
        pods.echo(b"pod").unwrap();
        socket.echo(b"pod").unwrap();
    }
    cluster.end().unwrap();
}
