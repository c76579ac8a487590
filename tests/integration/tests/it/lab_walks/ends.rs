//! Walk 10: how flows begin and end.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
};

use caracal_integration::{Cluster, Connection};
use caracal_lab::{
    Packet, Pod, Site, in_netns,
    traffic::{Request, connect_tcp},
};

use super::{DIRECT, MASQUERADE, MEGABYTE, PATIENCE, with_outside};

/// Two ends of what is tried: of one node, of two, with the outside, masqueraded or not.
fn everywhere(name: &str, attempt: impl Fn(&Pod, &dyn Other, IpAddr)) {
    for (mode, args) in [("", &DIRECT[..]), ("-masq", &MASQUERADE)] {
        let cluster: Cluster = with_outside(&format!("{name}{mode}"), 2, args);
        let [a, near] = ["a", "near"].map(|name| cluster.node("n1").pod(name).unwrap());
        let far = cluster.node("n2").pod("far").unwrap();
        for other in [&near as &dyn Other, &far, cluster.client("outside")] {
            for to in other.ips() {
                attempt(&a, other, *to);
            }
        }
        cluster.end().unwrap();
    }
}

/// Whoever is talked to: a pod or a machine.
trait Other {
    fn ips(&self) -> &[IpAddr];
    fn listen(&self, port: u16) -> TcpListener;
    fn receive(&self, port: u16) -> caracal_lab::Datagrams;
}

impl<S: Site> Other for S {
    fn ips(&self) -> &[IpAddr] {
        self.addresses()
    }

    fn listen(&self, port: u16) -> TcpListener {
        in_netns(self.netns(), || TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))).flatten().unwrap()
    }

    fn receive(&self, port: u16) -> caracal_lab::Datagrams {
        self.datagrams_at(port).unwrap()
    }
}

fn any(like: IpAddr) -> IpAddr {
    if like.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

/// A connection, both ends of it.
fn connect(from: &Pod, port: u16, listener: &TcpListener, to: SocketAddr) -> [TcpStream; 2] {
    let request = Request::tcp(to).from((any(to.ip()), port));
    let client = in_netns(from.netns(), || connect_tcp(&request)).flatten().unwrap();
    let (server, _) = listener.accept().unwrap();
    for stream in [&client, &server] {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
    }
    [client, server]
}

/// Sends much to an end that has said that it will not send any more.
fn send_much(mut from: &TcpStream, mut to: &TcpStream) {
    let sent = vec![7; MEGABYTE];
    thread::scope(|scope| {
        scope.spawn(|| {
            from.write_all(&sent).unwrap();
            from.shutdown(Shutdown::Write).unwrap();
        });
        let mut received = Vec::new();
        to.read_to_end(&mut received).unwrap();
        let is_whole = received == sent;
        assert!(is_whole, "{} bytes came, and others", received.len());
    });
}

#[test]
fn walk_10_either_side_may_close_first_and_go_on_listening() {
    everywhere("walk-10-half", |a, other, to| {
        let listener = other.listen(9000);
        for client_first in [true, false] {
            let [client, server] = connect(a, 0, &listener, (to, 9000).into());
            let (mut early, mut late) = if client_first { (&client, &server) } else { (&server, &client) };
            early.write_all(b"last words").unwrap();
            early.shutdown(Shutdown::Write).unwrap();
            let mut words = Vec::new();
            late.read_to_end(&mut words).unwrap();
            assert_eq!(words, b"last words");
            send_much(late, early);
            assert_eq!(early.read(&mut [0]).unwrap(), 0);
        }
    });
}

#[test]
fn walk_10_a_reset_arrives_and_its_tuple_can_be_used_at_once() {
    everywhere("walk-10-rst", |a, other, to| {
        let listener = other.listen(9000);
        for round in 0..10 {
            let [client, mut server] = connect(a, 4242, &listener, (to, 9000).into());
            (&client).write_all(b"here").unwrap();
            let mut words = [0; 4];
            server.read_exact(&mut words).unwrap();
            let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
            // In turn by either side.
            let (ends, mut learns) = if round % 2 == 0 { (client, server) } else { (server, client) };
            nix::sys::socket::setsockopt(&ends, nix::sys::socket::sockopt::Linger, &linger).unwrap();
            drop(ends);
            assert_eq!(learns.read(&mut words).unwrap_err().kind(), ErrorKind::ConnectionReset, "round {round}");
        }
    });
}

/// A segment with SYN to this port.
fn is_syn(packet: &Packet, port: u16) -> bool {
    let tcp = if packet.bytes.get(12) == Some(&8) { 34 } else { 54 };
    let header = packet.bytes.get(tcp..tcp + 20);
    header.is_some_and(|tcp| tcp[2..4] == port.to_be_bytes() && tcp[13] & 0x12 == 2)
}

#[test]
fn walk_10_two_pods_may_open_a_connection_at_once() {
    let cluster = with_outside("walk-10-both", 2, &DIRECT);
    let a = cluster.node("n1").pod("a").unwrap();
    for (port, node) in [(5000, "n1"), (5001, "n2")] {
        let b = cluster.node(node).pod("b").unwrap();
        for (one, other) in a.addresses().iter().zip(b.addresses()) {
            let deaf = "add table inet deaf; add chain inet deaf in { type filter hook input priority 0; }; \
                        add rule inet deaf in meta l4proto tcp drop";
            let ends = [(&a, other), (&b, one)];
            let captures = [&b, &a].map(|pod| {
                pod.run("nft", [deaf]).unwrap();
                pod.capture("eth0").unwrap()
            });
            let connected = thread::scope(|scope| {
                let opening = ends.map(|(from, to)| {
                    let request = Request::tcp((*to, port)).from((any(*to), port)).timeout(PATIENCE);
                    scope.spawn(move || in_netns(from.netns(), || connect_tcp(&request)).flatten())
                });
                // Both have sent before either hears of it.
                for capture in &captures {
                    capture.wait_for("SYN", PATIENCE, |packet| is_syn(packet, port)).unwrap();
                }
                for pod in [&a, &b] {
                    pod.run("nft", ["delete table inet deaf"]).unwrap();
                }
                opening.map(|opening| opening.join().unwrap().unwrap())
            });
            let [mut one, mut other] = connected;
            one.set_read_timeout(Some(PATIENCE)).unwrap();
            other.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut word = [0; 5];
            one.write_all(b"forth").unwrap();
            other.read_exact(&mut word).unwrap();
            other.write_all(b"back!").unwrap();
            one.read_exact(&mut word).unwrap();
            assert_eq!(&word, b"back!");
        }
        b.delete().unwrap();
    }
    cluster.end().unwrap();
}

#[test]
fn walk_10_udp_that_nobody_answers_arrives() {
    everywhere("walk-10-oneway", |a, other, to| {
        let socket = other.receive(9001);
        let sender = a.datagrams((to, 9001)).unwrap();
        // What a socket's buffer holds.
        for part in 0..20_u32 {
            for n in 0..50 {
                sender.send(&(part * 50 + n).to_be_bytes()).unwrap();
            }
            for n in 0..50 {
                let received = socket.receive().unwrap();
                assert_eq!(received.bytes, (part * 50 + n).to_be_bytes(), "{to}");
            }
        }
    });
}

#[test]
fn walk_10_many_short_questions_get_their_answers() {
    let cluster = with_outside("walk-10-dns", 2, &MASQUERADE);
    let a = cluster.node("n1").pod("a").unwrap();
    let b = cluster.node("n2").pod("b").unwrap();
    let outside = cluster.client("outside");
    let _servers = [b.serve(&["udp/53"]).unwrap(), outside.serve(&["udp/53"]).unwrap()];
    for to in b.addresses().iter().chain(outside.addresses()) {
        for n in 0..200_u32 {
            // A socket of its own, for two questions, as resolvers do.
            let socket = a.datagrams((*to, 53)).unwrap();
            for family in 0..2_u32 {
                socket.echo(&(n * 2 + family).to_be_bytes()).unwrap();
            }
        }
    }
    cluster.end().unwrap();
}

#[test]
fn walk_10_a_tuple_that_is_used_again_keeps_its_lent_port() {
    let ports = ["--masquerade-ports", "24000-24001"];
    let cluster = with_outside("walk-10-reuse", 1, &[&MASQUERADE[..], &ports].concat());
    let a = cluster.node("n1").pod("a").unwrap();
    let outside = cluster.client("outside");
    let _server = outside.serve(&["tcp/80"]).unwrap();
    for to in outside.addresses() {
        for _ in 0..2 {
            let mut connection = Connection::open_from(&a, 4242, (*to, 80)).unwrap();
            connection.echo(b"once").unwrap();
            connection.reset().unwrap();
        }
        let mut connection = Connection::open_from(&a, 4243, (*to, 80)).unwrap();
        connection.echo(b"more").unwrap();
        assert_eq!(cluster.counted("n1", "no_port").unwrap(), 0);
    }
    cluster.end().unwrap();
}
