//! Walk 8: ICMP errors, through everything that changes addresses.

use std::net::IpAddr;

use caracal_harness::Edit;
use caracal_integration::{Cluster, Connection};
use caracal_lab::{LanKind, Ping, PingError, Pod, Site, wait_until};
use nix::libc::{ECONNREFUSED, EMSGSIZE};

use super::{DIRECT, MASQUERADE, MEGABYTE, PATIENCE, builder, carries, from_pod, route_to_pods, with_outside};

const NARROW: u16 = 1300;

/// Nodes and somebody outside, each behind a router of its own link, which knows the way to pods.
fn routed(name: &str, args: &[&str]) -> Cluster {
    let cluster = builder(name, 2, args).client("outside").lan(LanKind::Routed).start().unwrap();
    for node in cluster.lab().nodes() {
        route_to_pods(cluster.lab().lan(), node);
    }
    cluster
}

/// Makes the way from the router to a network narrow.
fn narrow(cluster: &Cluster, to: &str, hop: [&str; 2]) {
    let mtu = ["mtu", "lock", &NARROW.to_string()].map(str::to_owned);
    let command = ["route", "replace", to].into_iter().chain(hop).map(str::to_owned);
    cluster.lab().lan().run("ip", command.chain(mtu)).unwrap();
}

#[track_caller]
fn learns_by_tcp(pod: &Pod, to: IpAddr) {
    let mut connection = Connection::open(pod, (to, 80)).unwrap();
    connection.transfer(MEGABYTE).unwrap();
    assert_eq!(connection.path_mtu().unwrap(), usize::from(NARROW));
}

#[track_caller]
fn learns_by_udp(pod: &Pod, to: IpAddr) {
    let too_large = [7; 1400];
    let socket = pod.datagrams((to, 53)).unwrap();
    socket.never_fragment().unwrap();
    assert_eq!(socket.path_mtu().unwrap(), 1500);
    let learns = || {
        let _ = socket.send(&too_large);
        socket.path_mtu().unwrap() == usize::from(NARROW)
    };
    wait_until("the path's MTU", PATIENCE, learns).unwrap();
    assert_eq!(socket.send(&too_large).unwrap_err().raw_os_error(), Some(EMSGSIZE));
    let _ = socket.take_error().unwrap();
    socket.echo(&[7; 1000]).unwrap();
}

#[test]
fn walk_8_sockets_of_pods_learn_what_the_path_outside_takes() {
    for (name, args) in [("walk-8-mtu", &DIRECT[..]), ("walk-8-mtu-masq", &MASQUERADE)] {
        let cluster = routed(name, args);
        let outside = cluster.client("outside");
        let _server = outside.serve(&["tcp/80", "udp/53"]).unwrap();
        let [by_tcp, by_udp] = ["tcp", "udp"].map(|name| cluster.node("n1").pod(name).unwrap());
        for to in outside.addresses() {
            narrow(&cluster, &to.to_string(), ["dev", "outside"]);
            learns_by_tcp(&by_tcp, *to);
            learns_by_udp(&by_udp, *to);
        }
        cluster.end().unwrap();
    }
}

#[test]
fn walk_8_sockets_of_pods_learn_what_the_path_to_another_nodes_pods_takes() {
    let cluster = routed("walk-8-mtu-pods", &DIRECT);
    let (near, far) = (cluster.node("n1"), cluster.node("n2"));
    let b = far.pod("b").unwrap();
    let _server = b.serve(&["tcp/80", "udp/53"]).unwrap();
    let [by_tcp, by_udp] = ["tcp", "udp"].map(|name| near.pod(name).unwrap());
    for ((cidr, via), to) in far.pod_cidrs().iter().zip(far.addresses()).zip(b.addresses()) {
        narrow(&cluster, &cidr.to_string(), ["via", &via.to_string()]);
        learns_by_tcp(&by_tcp, *to);
        learns_by_udp(&by_udp, *to);
    }
    cluster.end().unwrap();
}

#[test]
fn walk_8_sockets_of_pods_learn_what_the_nodes_nic_takes() {
    for (name, args) in [("walk-8-nic", &DIRECT[..]), ("walk-8-nic-masq", &MASQUERADE)] {
        let cluster = builder(name, 2, args).client("outside").mtu(NARROW.into()).pod_mtu(1500).start().unwrap();
        let outside = cluster.client("outside");
        let b = cluster.node("n2").pod("b").unwrap();
        if args == DIRECT {
            route_to_pods(outside, cluster.node("n1"));
        }
        let listens = ["tcp/80", "udp/53"];
        let _servers = [outside.serve(&listens).unwrap(), b.serve(&listens).unwrap()];
        let [by_tcp, by_udp] = ["tcp", "udp"].map(|name| cluster.node("n1").pod(name).unwrap());
        for to in outside.addresses().iter().chain(b.addresses()) {
            learns_by_udp(&by_udp, *to);
        }
        // Who is outside announces by itself that it takes no more.
        for to in b.addresses() {
            learns_by_tcp(&by_tcp, *to);
        }
        cluster.end().unwrap();
    }
}

#[test]
fn walk_8_what_may_be_cut_into_fragments_leaves_masqueraded_or_not_at_all() {
    let cluster = builder("walk-8-cut", 1, &MASQUERADE).client("outside").pod_mtu(9000).start().unwrap();
    let a = cluster.node("n1").pod("a").unwrap();
    let outside = cluster.client("outside");
    let _server = outside.serve(&["udp/53"]).unwrap();
    let capture = outside.capture("eth0").unwrap();
    let large = from_pod(&a, a.ip4().into(), outside.ip4().into()).udp(4242, 53, &[7; 4000]);
    let mut may_be_cut = large.clone();
    may_be_cut[14 + 6] &= !0x40;
    // Closes the header again.
    let may_be_cut = Edit::of(&may_be_cut).ttl(64).into_bytes();
    assert_ne!(large, may_be_cut);
    for _ in 0..3 {
        a.send_frame("eth0", &may_be_cut).unwrap();
    }
    a.datagrams_from(4242, (outside.ip4(), 53)).unwrap().send(b"small").unwrap();
    capture.wait_for("the small one", PATIENCE, |packet| carries(packet, b"small")).unwrap();
    let source = a.ip4().octets();
    let leaked = capture.stop().unwrap().iter().filter(|packet| packet.bytes.get(26..30) == Some(&source[..])).count();
    assert_eq!(leaked, 0);
    cluster.end().unwrap();
}

/// Who says that a packet has been on its way for too long.
#[track_caller]
fn hop(pod: &Pod, to: IpAddr, ttl: u8) -> IpAddr {
    let time_exceeded = if to.is_ipv4() { (11, 0) } else { (3, 0) };
    match pod.ping_with(&Ping::new(to).ttl(ttl)).unwrap_err() {
        PingError::Icmp { from, kind, code, .. } if (kind, code) == time_exceeded => from,
        other => panic!("{ttl}: {other}"),
    }
}

#[test]
fn walk_8_every_hop_says_when_the_ttl_is_used_up() {
    for (name, args) in [("walk-8-ttl", &DIRECT[..]), ("walk-8-ttl-masq", &MASQUERADE)] {
        let cluster = routed(name, args);
        let a = cluster.node("n1").pod("a").unwrap();
        let b = cluster.node("n2").pod("b").unwrap();
        let outside = cluster.client("outside");
        let routers = ["172.31.11.1", "fd00:1ab:0:11::1"].map(|ip| ip.parse::<IpAddr>().unwrap());
        let v = outside.addresses().iter().zip(b.addresses()).zip(routers);
        for (((outside, pod), router), other_node) in v.zip(cluster.node("n2").addresses()) {
            for to in [*outside, *pod] {
                // Once with a flow that is not known yet and once with one that is.
                for _ in 0..2 {
                    hop(&a, to, 1);
                    assert_eq!(hop(&a, to, 2), router);
                    if to == *pod {
                        assert_eq!(hop(&a, to, 3), *other_node);
                    }
                    a.ping_with(&Ping::new(to).ttl(4)).unwrap();
                }
            }
        }
        cluster.end().unwrap();
    }
}

/// Fails unless a connected socket is told that nobody listens there.
#[track_caller]
fn is_refused(from: &impl Site, to: IpAddr) {
    let socket = from.datagrams((to, 9)).unwrap();
    let refused = || {
        let sent = socket.send(b"anybody?").err();
        let error = sent.or_else(|| socket.take_error().unwrap());
        error.is_some_and(|error| error.raw_os_error() == Some(ECONNREFUSED))
    };
    wait_until(format!("ECONNREFUSED from {to} to {}", from.label()), PATIENCE, refused).unwrap();
}

#[test]
fn walk_8_a_port_where_nobody_listens_is_refused() {
    for (name, args) in [("walk-8-port", &DIRECT[..]), ("walk-8-port-masq", &MASQUERADE)] {
        let cluster = with_outside(name, 2, args);
        let [a, neighbour] = ["a", "neighbour"].map(|name| cluster.node("n1").pod(name).unwrap());
        let b = cluster.node("n2").pod("b").unwrap();
        let outside = cluster.client("outside");
        for to in [&outside.addresses(), &b.addresses(), &neighbour.addresses()].into_iter().copied().flatten() {
            is_refused(&a, *to);
        }
        for to in a.addresses() {
            is_refused(cluster.node("n1"), *to);
            if args == DIRECT {
                is_refused(outside, *to);
            }
        }
        cluster.end().unwrap();
    }
}
