//! Traffic helpers tell what happened.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use caracal_lab::{
    Ping, PingError, Site, in_netns, require_root,
    traffic::{ErrorKind, Request},
};

use crate::support::two_nodes;

#[test]
fn a_reply_tells_who_was_seen_by_whom() {
    if !require_root() {
        return;
    }
    let lab = two_nodes("seen").start().unwrap();
    let (n1, c1) = (lab.node("n1"), lab.client("c1"));
    let _server = n1.serve(&["tcp/80", "udp/53"]).unwrap();
    let source: SocketAddr = (c1.ip4(), 4242).into();
    for request in
        [Request::tcp((n1.ip4(), 80)), Request::udp((n1.ip4(), 53)), Request::udp((n1.ip4(), 53)).unconnected()]
    {
        let reply = c1.roundtrip(&request.from(source), b"hello").unwrap();
        assert_eq!((reply.server.as_str(), reply.peer, reply.bytes.as_slice()), ("n1", source, &b"hello"[..]));
    }
    let reply = c1.tcp_roundtrip((n1.ip6(), 80), b"").unwrap();
    assert_eq!((reply.peer.ip(), reply.local), (c1.ip6().into(), (n1.ip6(), 80).into()));
}

#[test]
fn payloads_of_any_size_come_back() {
    if !require_root() {
        return;
    }
    let lab = two_nodes("sizes").start().unwrap();
    let (n1, n2) = (lab.node("n1"), lab.node("n2"));
    let _server = n2.serve(&["tcp/80", "udp/53"]).unwrap();
    let payload: Vec<u8> = (0..=u8::MAX).cycle().take(8 << 20).collect();
    let same = n1.tcp_roundtrip((n2.ip4(), 80), &payload).unwrap().bytes == payload;
    assert!(same);
    for size in [0, 1, 1472, 1473, 60_000] {
        assert_eq!(n1.udp_roundtrip((n2.ip6(), 53), &payload[..size]).unwrap().bytes, payload[..size]);
    }
}

#[test]
fn failures_are_told_apart() {
    if !require_root() {
        return;
    }
    let lab = two_nodes("failures").start().unwrap();
    let (n1, n2) = (lab.node("n1"), lab.node("n2"));
    let kind = |request: Request| n1.roundtrip(&request.timeout(Duration::from_millis(400)), b"x").unwrap_err().kind;
    for to in [SocketAddr::from((n2.ip4(), 9)), SocketAddr::from((n2.ip6(), 9))] {
        assert_eq!(kind(Request::tcp(to)), ErrorKind::Refused);
        assert_eq!(kind(Request::udp(to)), ErrorKind::Refused, "told by ICMP");
        assert_eq!(kind(Request::udp(to).unconnected()), ErrorKind::TimedOut);
    }
    n1.run("ip", ["route", "add", "unreachable", "198.51.100.0/25"]).unwrap();
    n1.run("ip", ["route", "add", "prohibit", "198.51.100.128/25"]).unwrap();
    assert_eq!(kind(Request::tcp(([198, 51, 100, 1], 80))), ErrorKind::Unreachable);
    assert_eq!(kind(Request::tcp(([198, 51, 100, 129], 80))), ErrorKind::Denied);
    n2.run("ip", ["route", "add", "blackhole", &format!("{}/32", n1.ip4())]).unwrap();
    assert_eq!(kind(Request::tcp((n2.ip4(), 9))), ErrorKind::TimedOut);
    assert_eq!(kind(Request::tcp((n2.ip6(), 9)).from(([0xfd00, 0, 0, 0, 0, 0, 0, 9], 0))), ErrorKind::Source);
}

#[test]
fn a_server_that_cannot_listen_is_an_error_at_once() {
    if !require_root() {
        return;
    }
    let lab = two_nodes("listen").start().unwrap();
    let _first = lab.node("n1").serve(&["tcp/80"]).unwrap();
    let error = format!("{:#}", lab.node("n1").serve(&["tcp/80"]).unwrap_err());
    assert!(error.contains("listening on tcp/80") && error.contains("in use"), "{error}");
    assert!(lab.node("n1").serve(&["http/80"]).is_err());
}

#[test]
fn ping_gives_a_time_or_the_icmp_error() {
    if !require_root() {
        return;
    }
    let lab = two_nodes("ping").start().unwrap();
    let (n1, n2, lan) = (lab.node("n1"), lab.node("n2"), lab.lan());
    assert!(n1.ping(n2.ip6()).unwrap().rtt < Duration::from_secs(1));

    // To a node that does not answer, through a gateway with a smaller MTU behind it.
    lan.run(
        "sh",
        ["-c", "ip route add 198.51.100.0/24 dev br0 mtu 1300; ip -6 route add 2001:db8::/64 dev br0 mtu 1300"],
    )
    .unwrap();
    let too_big = |to: Ping| match n1.ping_with(&to.size(1400)) {
        Err(PingError::Icmp { kind, code, mtu, .. }) => (kind, code, mtu),
        other => panic!("{other:?}"),
    };
    assert_eq!(too_big(Ping::new([198, 51, 100, 1])), (3, 4, Some(1300)));
    assert_eq!(too_big(Ping::new([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1])), (2, 0, Some(1300)));

    lan.run("ip", ["route", "add", "prohibit", "203.0.113.0/24"]).unwrap();
    assert_eq!(n1.ping([203, 0, 113, 1]).unwrap_err().icmp(), Some((3, 13)));

    n2.run("sh", ["-c", "echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all"]).unwrap();
    let silent = n1.ping_with(&Ping::new(n2.ip4()).timeout(Duration::from_millis(100)));
    assert!(matches!(silent, Err(PingError::TimedOut { .. })), "{silent:?}");
}

#[test]
fn sockets_of_the_test_itself_can_be_in_any_namespace() {
    if !require_root() {
        return;
    }
    let lab = two_nodes("sockets").start().unwrap();
    let (n1, n2) = (lab.node("n1"), lab.node("n2"));
    let listener = in_netns(n2.netns(), || TcpListener::bind("0.0.0.0:80")).unwrap().unwrap();
    let mut client = in_netns(n1.netns(), || TcpStream::connect((n2.ip4(), 80))).unwrap().unwrap();
    let (mut server, peer) = listener.accept().unwrap();
    assert_eq!(peer.ip(), n1.ip4());
    client.write_all(b"hello").unwrap();
    let mut received = [0; 5];
    server.read_exact(&mut received).unwrap();
    assert_eq!(&received, b"hello");

    let netns = || fs::read_link("/proc/thread-self/ns/net").unwrap();
    assert_ne!(in_netns(n1.netns(), netns).unwrap(), netns(), "this thread stayed outside");
    let panicked = std::panic::catch_unwind(|| in_netns(n1.netns(), || panic!("as the test would")));
    assert!(panicked.is_err(), "a panic inside is a panic of the test");
}
