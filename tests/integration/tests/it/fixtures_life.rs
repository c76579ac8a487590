//! Packets' lives over several hops: from the interfaces of pods and NICs of one node, and from one node to another.

use std::net::IpAddr;

use caracal_abi::{Reason, Via};
use caracal_datapath::{Loader, Mapping};
use caracal_harness::{Context, Frame, Life, Nic, Plane, Pod, isolated, shape, tcp};
use caracal_integration::{GATEWAY_MAC, Stage};

const UDP: u8 = 17;

#[test]
fn a_connection_between_pods_from_its_first_packet_to_its_last() {
    Stage::each_family(|Stage { plane, a, b, .. }| {
        Life::of(Frame::new(a, b.ip).syn(4000, 80))
            .on(plane)
            .from_pod(a)
            .redirected()
            .counted(Reason::NewFlow)
            .becomes(|it| it.aged().mac(b.gateway, b.mac))
            .reaches(b)
            .via(Via::Peer)
            .packets(1)
            .reply_flow(|flow| assert_eq!((flow.in_ifindex, flow.out_ifindex), (b.ifindex, a.ifindex)))
            .answered()
            .from_pod(b)
            .uncounted()
            .becomes(|it| it.aged().mac(a.gateway, a.mac))
            .reaches(a)
            .answered()
            .from_pod(a)
            .reaches(b)
            .packets(2)
            .followed_by(Frame::new(a, b.ip).tcp(4000, 80, tcp::PSH | tcp::ACK, b"request"))
            .from_pod(a)
            .reaches(b)
            .followed_by(Frame::new(a, b.ip).fin(4000, 80))
            .from_pod(a)
            .reaches(b)
            .packets(4)
            .answered()
            .from_pod(b)
            .uncounted()
            .reaches(a);
    });
}

#[test]
fn from_a_nic_to_a_pods_port_and_back() {
    Stage::each_family(|Stage { plane, eth0, node, b, outside, .. }| {
        let any: IpAddr = if node.is_ipv4() { "0.0.0.0" } else { "::" }.parse().unwrap();
        let mapping = Mapping { host_ip: any, host_port: 8080, protocol: UDP, pod_ip: b.ip, pod_port: 53 };
        plane.pinned().map_port(&mapping, b.ifindex).unwrap().unwrap();
        Life::of(Frame::new(outside, *node).udp(4000, 8080, b"question"))
            .on(plane)
            .from_net(eth0)
            .counted(Reason::Service)
            .becomes(|it| it.dst(b.ip).dport(53).aged().mac(b.gateway, b.mac))
            .reaches(b)
            .flow(|flow| assert_eq!(flow.in_ifindex, eth0.ifindex))
            .answered()
            .from_pod(b)
            .redirected()
            .out_of(eth0.ifindex)
            .is_from_to(*node, outside.ip)
            .shows(|packet| assert_eq!((packet.ports(), packet.ttl()), (Some((8080, 4000)), 63)));
    });
}

#[test]
fn packets_on_the_wrong_interface_are_dropped_established_or_not() {
    Stage::each_family(|Stage { plane, a, b, .. }| {
        let packet = Frame::new(a, b.ip).udp(4000, 53, b"x");
        let life = Life::of(packet.clone()).on(plane);
        life.clone().from_pod(b).dropped().counted(Reason::SpoofedAddress).no_flow();
        life.clone().from_pod(a).reaches(b);
        life.from_pod(b).dropped().counted(Reason::SpoofedAddress);
    });
}

#[test]
fn to_somebody_outside_and_back_by_the_hosts_routes() {
    Stage::each_family(|Stage { plane, eth0, a, outside, .. }| {
        Life::of(Frame::new(a, outside.ip).echo_request(7, 1, b"ping"))
            .on(plane)
            .from_pod(a)
            .redirected()
            .counted(Reason::NewFlow)
            .becomes(|it| it.aged().mac(eth0.mac, GATEWAY_MAC))
            .out_of(eth0.ifindex)
            .via(Via::Egress)
            .answered()
            .from_net(eth0)
            .becomes(|it| it.aged().mac(a.gateway, a.mac))
            .reaches(a);
    });
}

#[test]
fn to_somebody_outside_as_the_node_but_to_networks_inside_as_oneself() {
    let masquerade = |loader| Loader { masquerade: Some(40_000..=40_999), ..loader };
    Stage::each_family_with(masquerade, |Stage { plane, eth0, node, a, outside, .. }| {
        let question = Frame::new(a, outside.ip).udp(4000, 53, b"question");
        Life::of(question)
            .on(plane)
            .from_pod(a)
            .redirected()
            .is_from_to(*node, outside.ip)
            .shows(|packet| assert!(matches!(packet.ports(), Some((32_768..=65_535, 53))), "{packet}"))
            .answered()
            .from_net(eth0)
            .reaches(a)
            .is_from_to(outside.ip, a.ip)
            .shows(|packet| assert_eq!(packet.ports(), Some((53, 4000))));
        let network = if a.ip.is_ipv4() { "198.51.100.0/24" } else { "2001:db8:ffff::/48" };
        plane.inside(network);
        let question = Frame::new(a, outside.ip).udp(4001, 53, b"question");
        Life::of(question).on(plane).from_pod(a).redirected().becomes(|it| it.aged().mac(eth0.mac, GATEWAY_MAC));
    });
}

#[test]
fn what_the_routes_refuse_is_dropped_or_the_hosts_untouched() {
    Stage::each_family(|Stage { plane, a, node, outside, .. }| {
        let [blackhole, unreachable, prohibited] = if a.ip.is_ipv4() {
            ["10.2.0.0/16", "10.3.0.0/16", "10.4.0.0/16"]
        } else {
            ["2001:db8:2::/48", "2001:db8:3::/48", "2001:db8:4::/48"]
        };
        plane.net().blackhole(blackhole);
        plane.net().unreachable(unreachable);
        plane.net().prohibit(prohibited);
        let sends = |to: &str| {
            let to = to.split_once('/').unwrap().0.parse().unwrap();
            Life::of(Frame::new(a, to).udp(4000, 53, b"x")).on(plane).from_pod(a)
        };
        sends(blackhole).dropped().counted(Reason::NoRoute).no_flow();
        for to in [unreachable, prohibited] {
            sends(to).to_host().counted(Reason::ToHost).no_flow();
        }
        Life::of(Frame::new(a, *node).echo_request(7, 1, b"ping")).on(plane).from_pod(a).to_host().no_flow();
        Life::of(shape::vlan(&Frame::new(outside, a.ip).udp(1, 2, b"x"), 7)).on(plane).from_net(&Nic::new(0)).to_host();
    });
}

#[test]
fn segments_and_marks_travel_beside_the_packet() {
    Stage::each_family(|Stage { plane, a, b, .. }| {
        let context = Life::of(Frame::new(a, b.ip).tcp(4000, 80, tcp::ACK, &[7; 2000]))
            .on(plane)
            .with(Context::default().mark(0x42).segments(2, 1000))
            .from_pod(a)
            .reaches(b)
            .context();
        assert_eq!((context.mark, context.gso_segs, context.ifindex), (0x42, 2, a.ifindex));
    });
}

#[test]
fn the_kernel_knows_the_routes_of_the_fixture() {
    isolated(|root| {
        let plane = Plane::new(root);
        let eth0 = Nic::new(0).address("192.0.2.1/24");
        let eth1 = Nic::new(1).address("198.51.100.1/25").mtu(1400);
        let vlan = Nic { name: "eth0.7".to_owned(), ..Nic::new(2) }.address("203.0.113.1/24");
        plane.wire_nics(&[&eth0, &eth1]);
        let net = plane.net();
        if !net.add_vlan(&eth0, 7, &vlan) {
            net.add_nic(&vlan);
        }
        net.gateway(&eth0, "192.0.2.254", GATEWAY_MAC);
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
fn from_one_node_to_another_and_back() {
    isolated(|root| {
        let (n1, n2) = (Plane::node(root, "n1"), Plane::node(root, "n2"));
        let [nic1, nic2] = [Nic::new(1).address("192.0.2.1/24"), Nic::new(2).address("192.0.2.2/24")];
        let (a, b) = (Pod::numbered("10.0.1.1", 1), Pod::numbered("10.0.2.1", 1));
        n1.wire_nics(&[&nic1]);
        n2.wire_nics(&[&nic2]);
        n1.net().neighbour(&nic1, "192.0.2.2", nic2.mac);
        n2.net().neighbour(&nic2, "192.0.2.1", nic1.mac);
        n2.net().route("10.0.1.0/24", "via 192.0.2.1");
        n1.wire(&a);
        n2.wire(&b);
        let (node2, port) = (nic2.ip(b.ip), 8080);
        let mapping = Mapping { host_ip: node2, host_port: port, protocol: UDP, pod_ip: b.ip, pod_port: 53 };
        n2.pinned().map_port(&mapping, b.ifindex).unwrap().unwrap();
        Life::of(Frame::new(&a, node2).udp(4000, port, b"question"))
            .on(&n1)
            .from_pod(&a)
            .redirected()
            .becomes(|it| it.aged().mac(nic1.mac, nic2.mac))
            .on(&n2)
            .from_net(&nic2)
            .becomes(|it| it.aged().dst(b.ip).dport(53).mac(b.gateway, b.mac))
            .reaches(&b)
            .answered()
            .from_pod(&b)
            .out_of(nic2.ifindex)
            .is_from_to(node2, a.ip)
            .over_the_wire(&nic2, &nic1)
            .on(&n1)
            .from_net(&nic1)
            .reaches(&a)
            .uncounted();
        assert_eq!((n1.flows().len(), n2.flows().len()), (2, 2), "each node has tables of its own");
    });
}

#[test]
#[should_panic(expected = "ttl 63, 4 bytes\nexpected")]
fn a_life_that_goes_otherwise_is_told_whole() {
    Stage::each_family(|Stage { plane, a, b, .. }| {
        let life = Life::of(Frame::new(a, b.ip).udp(4000, 53, b"data")).on(plane).from_pod(a);
        life.becomes(|it| it.mac(b.gateway, b.mac));
    });
}
