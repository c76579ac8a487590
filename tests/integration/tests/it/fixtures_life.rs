//! Packets' lives over several hops: from the interfaces of pods and NICs of one node, and from one node to another.

use std::net::IpAddr;

use caracal_abi::{Reason, Via};
use caracal_datapath::Mapping;
use caracal_harness::{Context, Edit, Frame, Life, Nic, Plane, Pod, Problem, Quote, isolated, shape, tcp};

const UDP: u8 = 17;
const GATEWAY_MAC: [u8; 6] = [2, 0, 0, 0, 9, 9];

/// One family's cast: two pods and somebody outside.
fn casts() -> [[Pod; 3]; 2] {
    [["10.0.0.1", "10.0.0.2", "198.51.100.7"], ["fd00::1", "fd00::2", "2001:db8:ffff::7"]].map(|[a, b, outside]| {
        [
            Pod::numbered(a, 1),
            Pod::numbered(b, 2),
            Pod { gateway: eth0().mac, mac: GATEWAY_MAC, ..Pod::new(outside, 9, 0) },
        ]
    })
}

fn eth0() -> Nic {
    Nic::new(0).address("192.0.2.1/24").address("2001:db8::1/64")
}

/// Runs a body once for each family, on a node with two pods, a NIC, and a default route.
fn for_each_family(body: impl Fn(&Plane, [Pod; 3]) + Sync) {
    for cast in casts() {
        isolated(|root| {
            let plane = Plane::new(root);
            plane.wire_nics(&[&eth0()]);
            for gateway in ["192.0.2.254", "2001:db8::fe"] {
                plane.net().gateway(&eth0(), gateway, GATEWAY_MAC);
            }
            plane.wire(&cast[0]);
            plane.wire(&cast[1]);
            body(&plane, cast);
        });
    }
}

#[test]
fn a_connection_between_pods_from_its_first_packet_to_its_last() {
    for_each_family(|plane, [a, b, _]| {
        Life::of(Frame::new(&a, b.ip).syn(4000, 80))
            .on(plane)
            .from_pod(&a)
            .redirected()
            .counted(Reason::NewFlow)
            .becomes(|it| it.aged().mac(b.gateway, b.mac))
            .reaches(&b)
            .via(Via::Peer)
            .packets(1)
            .reply_flow(|flow| assert_eq!((flow.in_ifindex, flow.out_ifindex), (b.ifindex, a.ifindex)))
            .answered()
            .from_pod(&b)
            .uncounted()
            .becomes(|it| it.aged().mac(a.gateway, a.mac))
            .reaches(&a)
            .answered()
            .from_pod(&a)
            .reaches(&b)
            .packets(2)
            .followed_by(Frame::new(&a, b.ip).tcp(4000, 80, tcp::PSH | tcp::ACK, b"request"))
            .from_pod(&a)
            .reaches(&b)
            .followed_by(Frame::new(&a, b.ip).fin(4000, 80))
            .from_pod(&a)
            .reaches(&b)
            .packets(4)
            .answered()
            .from_pod(&b)
            .uncounted()
            .reaches(&a);
    });
}

#[test]
fn from_a_nic_to_a_pods_port_and_back() {
    for_each_family(|plane, [_, b, outside]| {
        let node = eth0().ip(b.ip);
        let any: IpAddr = if node.is_ipv4() { "0.0.0.0" } else { "::" }.parse().unwrap();
        let mapping = Mapping { host_ip: any, host_port: 8080, protocol: UDP, pod_ip: b.ip, pod_port: 53 };
        plane.pinned().map_port(&mapping, b.ifindex).unwrap().unwrap();
        Life::of(Frame::new(&outside, node).udp(4000, 8080, b"question"))
            .on(plane)
            .from_net(&eth0())
            .counted(Reason::Service)
            .becomes(|it| it.dst(b.ip).dport(53).aged().mac(b.gateway, b.mac))
            .reaches(&b)
            .flow(|flow| assert_eq!(flow.in_ifindex, eth0().ifindex))
            .answered()
            .from_pod(&b)
            .redirected()
            .out_of(eth0().ifindex)
            .is_from_to(node, outside.ip)
            .shows(|packet| assert_eq!((packet.ports(), packet.ttl()), (Some((8080, 4000)), 63)));
    });
}

#[test]
fn packets_on_the_wrong_interface_are_dropped_established_or_not() {
    for_each_family(|plane, [a, b, _]| {
        let packet = Frame::new(&a, b.ip).udp(4000, 53, b"x");
        let life = Life::of(packet.clone()).on(plane);
        life.clone().from_pod(&b).dropped().counted(Reason::SpoofedAddress).no_flow();
        life.clone().from_pod(&a).reaches(&b);
        life.from_pod(&b).dropped().counted(Reason::SpoofedAddress);
    });
}

#[test]
fn what_is_for_nobody_here_is_the_hosts_untouched() {
    for_each_family(|plane, [a, _, outside]| {
        Life::of(Frame::new(&a, outside.ip).echo_request(7, 1, b"ping"))
            .on(plane)
            .from_pod(&a)
            .to_host()
            .counted(Reason::ToHost)
            .no_flow()
            .on_the_way(|it| it.aged().mac(eth0().mac, GATEWAY_MAC))
            .refused(
                "203.0.113.1".parse().ok().filter(|_| a.ip.is_ipv4()).unwrap_or(outside.ip),
                Problem::NoRoute,
                Quote::Allowed,
            )
            .from_net(&eth0())
            .to_host();
        Life::of(shape::vlan(&Frame::new(&outside, a.ip).udp(1, 2, b"x"), 7)).on(plane).from_net(&eth0()).to_host();
    });
}

#[test]
fn segments_and_marks_travel_beside_the_packet() {
    for_each_family(|plane, [a, b, _]| {
        let context = Life::of(Frame::new(&a, b.ip).tcp(4000, 80, tcp::ACK, &[7; 2000]))
            .on(plane)
            .with(Context::default().mark(0x42).segments(2, 1000))
            .from_pod(&a)
            .reaches(&b)
            .context();
        assert_eq!((context.mark, context.gso_segs, context.ifindex), (0x42, 2, a.ifindex));
    });
}

#[test]
fn the_kernel_knows_the_routes_of_the_fixture() {
    isolated(|root| {
        let plane = Plane::new(root);
        let eth1 = Nic::new(1).address("198.51.100.1/25").mtu(1400);
        let vlan = Nic { name: "eth0.7".to_owned(), ..Nic::new(2) }.address("203.0.113.1/24");
        plane.wire_nics(&[&eth0(), &eth1]);
        let net = plane.net();
        if !net.add_vlan(&eth0(), 7, &vlan) {
            net.add_nic(&vlan);
        }
        net.gateway(&eth0(), "192.0.2.254", GATEWAY_MAC);
        net.route("10.1.0.0/16", "via 198.51.100.9");
        net.neighbour(&eth1, "198.51.100.9", GATEWAY_MAC);
        net.blackhole("10.2.0.0/16");
        net.unreachable("10.3.0.0/16");
        net.prohibit("2001:db8:3::/48");
        net.unroute("10.3.0.0/16");
        net.forget_neighbour(&eth1, "198.51.100.9");
        let one = net.inside(|| std::fs::read_to_string("/proc/sys/net/ipv4/conf/eth1/forwarding")).unwrap();
        assert_eq!(one.trim(), "1");
        let routes = net.inside(|| std::fs::read_to_string("/proc/thread-self/net/route")).unwrap();
        // Little-endian hexadecimal: 10.1.0.0 by 198.51.100.9.
        assert!(routes.lines().any(|line| line.starts_with("eth1\t0000010A\t096433C6")), "{routes}");
        assert!(routes.lines().any(|line| line.starts_with("eth0.7\t007100CB")), "{routes}");
        assert!(!routes.contains("0000030A"), "{routes}");
    });
}

#[test]
fn from_one_node_to_another() {
    for [a, b, _] in casts() {
        isolated(|root| {
            let (n1, n2) = (Plane::node(root, "n1"), Plane::node(root, "n2"));
            let [nic1, nic2] = ["192.0.2.1/24", "192.0.2.2/24"].map(|address| Nic::new(0).address(address));
            n1.wire_nics(&[&nic1]);
            n2.wire_nics(&[&nic2]);
            n1.wire(&a);
            n2.wire(&b);
            Life::of(Frame::new(&a, b.ip).udp(4000, 53, b"question"))
                .on(&n1)
                .from_pod(&a)
                .to_host()
                .on_the_way(Edit::aged)
                .over_the_wire(&nic1, &nic2)
                .on(&n2)
                .from_net(&nic2)
                .to_host();
            assert_eq!((n1.count(Reason::ToHost).packets, n2.count(Reason::ToHost).packets), (1, 0));
        });
    }
}

#[test]
#[should_panic(expected = "ttl 63, 4 bytes\nexpected")]
fn a_life_that_goes_otherwise_is_told_whole() {
    let [a, b, _] = casts()[0];
    isolated(|root| {
        let plane = Plane::new(root);
        plane.wire(&a);
        plane.wire(&b);
        let life = Life::of(Frame::new(&a, b.ip).udp(4000, 53, b"data")).on(&plane).from_pod(&a);
        life.becomes(|it| it.mac(b.gateway, b.mac));
    });
}
