//! Port mappings as packets through the real programs: from outside, from another pod, from the pod itself; what comes
//! out, checksums included, and what the answers become. Each for IPv4 and IPv6.

use std::net::IpAddr;

use caracal_abi::{Flow, Hook, Reason, Via};
use caracal_datapath::{Mapping, counters};
use caracal_harness::{Action, Frame, Life, Plane, Pod, isolated};
use caracal_integration::{Stage, pairs};

const HOST_PORT: u16 = 8080;
const POD_PORT: u16 = 80;
const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;

/// One family's cast: the node's address, somebody outside, a pod behind the interface that packets come from, and
/// another one, whose port is mapped.
struct Cast {
    node: IpAddr,
    outside: Pod,
    near: Pod,
    server: Pod,
}

fn casts() -> [Cast; 2] {
    let [v4, v6] = pairs(Plane::IFINDEX);
    let cast = |node: &str, outside: &str, (near, server): (Pod, Pod)| Cast {
        node: node.parse().unwrap(),
        // For the interface that packets of this fixture come from, which is loopback.
        outside: Pod { gateway: [0; 6], ..Pod::new(outside, 9, 0) },
        near,
        server,
    };
    [cast("192.0.2.1", "198.51.100.7", v4), cast("2001:db8::1", "2001:db8:ffff::7", v6)]
}

fn for_each_family(body: impl Fn(&Plane, &Cast) + Sync) {
    for cast in casts() {
        isolated(|root| {
            let plane = Plane::new(root);
            plane.add(&cast.near);
            plane.add(&cast.server);
            plane.pinned().set_node_addresses(&[cast.node]).unwrap();
            for protocol in [TCP, UDP, SCTP] {
                map(&plane, &cast, any(&cast), protocol, &cast.server);
            }
            body(&plane, &cast);
        });
    }
}

fn any(cast: &Cast) -> IpAddr {
    let any = if cast.node.is_ipv4() { "0.0.0.0" } else { "::" };
    any.parse().unwrap()
}

fn map(plane: &Plane, cast: &Cast, host_ip: IpAddr, protocol: u8, pod: &Pod) {
    assert_eq!(cast.node.is_ipv4(), pod.ip.is_ipv4());
    let mapping = Mapping { host_ip, host_port: HOST_PORT, protocol, pod_ip: pod.ip, pod_port: POD_PORT };
    plane.pinned().map_port(&mapping, pod.ifindex).unwrap().unwrap();
}

fn flow(plane: &Plane, src: IpAddr, dst: IpAddr) -> Flow<IpAddr> {
    let flows = plane.flows();
    let found = flows.iter().find(|(key, _)| (key.src, key.dst) == (src, dst));
    found.unwrap_or_else(|| panic!("no flow from {src} to {dst} in {flows:?}")).1
}

fn counted(plane: &Plane, hook: Hook, reason: Reason) -> u64 {
    let counts = counters::read(plane.root()).unwrap();
    counts.iter().find(|count| count.hook == hook && count.reason == reason).unwrap().total.packets
}

/// A packet from one address to another as it arrives in the pod.
fn arriving(pod: &Pod, from: IpAddr) -> Frame {
    Frame { mac: (pod.gateway, pod.mac), ip: (from, pod.ip), ttl: 63 }
}

#[test]
fn from_outside_to_the_pod_and_back() {
    for_each_family(|plane, cast| {
        let Cast { node, outside, server, .. } = cast;
        let packets: [(Vec<u8>, Vec<u8>); 2] = [
            (
                Frame::new(outside, *node).udp(4000, HOST_PORT, b"question"),
                arriving(server, outside.ip).udp(4000, POD_PORT, b"question"),
            ),
            (Frame::new(outside, *node).syn(4001, HOST_PORT), arriving(server, outside.ip).syn(4001, POD_PORT)),
        ];
        for (sent, expected) in &packets {
            for round in ["first", "established"] {
                let outcome = plane.from_net(sent);
                // etherparse computed the checksums of what is expected anew.
                assert_eq!((outcome.action, &outcome.packet), (Action::Redirect, expected), "{round}");
            }
        }
        assert_eq!(counted(plane, Hook::FromNet, Reason::Service), 2);
        assert_eq!(flow(plane, outside.ip, *node).via(), Some(Via::Peer));
        let back = flow(plane, server.ip, outside.ip);
        assert_eq!(
            (back.via(), back.in_ifindex, back.out_ifindex),
            (Some(Via::Neighbour), server.ifindex, Plane::IFINDEX)
        );
        assert_eq!(back.translation.src, *node);
    });
}

#[test]
fn the_answer_leaves_as_the_nodes_by_the_hosts_routes() {
    Stage::each_family(|Stage { plane, eth0, node, a, outside, .. }| {
        let host_ip = if node.is_ipv4() { "0.0.0.0" } else { "::" }.parse().unwrap();
        for protocol in [TCP, UDP, SCTP] {
            let mapping = Mapping { host_ip, host_port: HOST_PORT, protocol, pod_ip: a.ip, pod_port: POD_PORT };
            plane.pinned().map_port(&mapping, a.ifindex).unwrap().unwrap();
        }
        let to_node = Frame::new(outside, *node);
        let questions = [
            to_node.syn(4000, HOST_PORT),
            to_node.udp(4000, HOST_PORT, b"question"),
            to_node.sctp(4000, HOST_PORT, &[1, 0, 0, 4]),
        ];
        for question in questions {
            Life::of(question)
                .on(plane)
                .from_net(eth0)
                .redirected()
                .counted(Reason::Service)
                .becomes(|it| it.aged().dst(a.ip).dport(POD_PORT).mac(a.gateway, a.mac))
                .answered()
                .from_pod(a)
                .redirected()
                .uncounted()
                .becomes(|it| it.aged().src(*node).sport(HOST_PORT))
                .out_of(eth0.ifindex);
        }
    });
}

#[test]
fn from_a_pod_to_another_by_the_nodes_address() {
    for_each_family(|plane, cast| {
        let Cast { node, near, server, .. } = cast;
        let outcome = plane.from_pod(&Frame::new(near, *node).syn(4000, HOST_PORT));
        let expected = arriving(server, near.ip).syn(4000, POD_PORT);
        assert_eq!((outcome.action, outcome.packet), (Action::Redirect, expected));
        let back = flow(plane, server.ip, near.ip);
        assert_eq!((back.via(), back.out_ifindex, back.dst_mac.0), (Some(Via::Peer), near.ifindex, near.mac));
        assert_eq!((back.translation.src, back.translation.sport.get()), (*node, HOST_PORT));
    });
}

#[test]
fn from_a_pod_to_itself_by_the_nodes_address() {
    for_each_family(|plane, cast| {
        let Cast { node, near, .. } = cast;
        map(plane, cast, *node, TCP, near);
        let gateway: IpAddr = if node.is_ipv4() { "169.254.1.1" } else { "fe80::1" }.parse().unwrap();
        let outcome = plane.from_pod(&Frame::new(near, *node).syn(4000, HOST_PORT));
        let expected = arriving(near, gateway).syn(4000, POD_PORT);
        assert_eq!((outcome.action, outcome.packet), (Action::Redirect, expected));
        let outcome = plane.from_pod(&Frame::new(near, gateway).syn_ack(POD_PORT, 4000));
        let expected = arriving(near, *node).syn_ack(HOST_PORT, 4000);
        assert_eq!((outcome.action, outcome.packet), (Action::Redirect, expected));
    });
}

#[test]
fn a_mapping_of_one_address_wins_over_one_of_all() {
    for_each_family(|plane, cast| {
        let Cast { node, outside, near, server } = cast;
        map(plane, cast, *node, UDP, near);
        let outcome = plane.from_net(&Frame::new(outside, *node).udp(4000, HOST_PORT, &[]));
        assert_eq!(outcome.packet, arriving(near, outside.ip).udp(4000, POD_PORT, &[]));
        plane.pinned().unmap_ports(near.ifindex).unwrap();
        let outcome = plane.from_net(&Frame::new(outside, *node).udp(4001, HOST_PORT, &[]));
        assert_eq!(outcome.packet, arriving(server, outside.ip).udp(4001, POD_PORT, &[]));
    });
}

#[test]
fn everything_else_a_nic_receives_is_the_hosts_untouched() {
    for_each_family(|plane, cast| {
        let Cast { node, outside, .. } = cast;
        let others = [
            Frame::new(outside, *node).udp(4000, HOST_PORT + 1, b"x"),
            Frame::new(outside, cast.outside.ip).syn(4000, HOST_PORT),
        ];
        for sent in others {
            let outcome = plane.from_net(&sent);
            assert_eq!((outcome.action, outcome.packet), (Action::Host, sent));
        }
        assert_eq!((plane.flows().len(), plane.counted()), (0, Vec::new()));
    });
}

#[test]
fn the_checksum_of_sctp_follows_its_ports() {
    for_each_family(|plane, cast| {
        let Cast { node, outside, server, .. } = cast;
        for length in [0, 1, 100, 1300] {
            let payload: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
            let sport = 4000 + u16::try_from(length).unwrap();
            let outcome = plane.from_net(&Frame::new(outside, *node).sctp(sport, HOST_PORT, &payload));
            let expected = arriving(server, outside.ip).sctp(sport, POD_PORT, &payload);
            assert_eq!((outcome.action, outcome.packet), (Action::Redirect, expected), "{length} bytes");
        }
    });
}

#[test]
fn a_port_in_use_towards_the_same_pod_is_changed_and_changed_back() {
    for_each_family(|plane, cast| {
        let Cast { node, near, server, .. } = cast;
        // A connection to the pod itself, and one to the service from the same port.
        assert_eq!(plane.from_pod(&Frame::new(near, server.ip).syn(4000, POD_PORT)).action, Action::Redirect);
        let outcome = plane.from_pod(&Frame::new(near, *node).syn(4000, HOST_PORT));
        assert_eq!(outcome.action, Action::Redirect);
        let translation = flow(plane, near.ip, *node).translation;
        assert_ne!(translation.sport.get(), 4000);
        assert_eq!(outcome.packet, arriving(server, near.ip).syn(translation.sport.get(), POD_PORT));
        let flows = plane.flows();
        let back =
            flows.iter().find(|(key, flow)| key.src == server.ip && key.dport == translation.sport && flow.flags != 0);
        assert_eq!(back.unwrap().1.translation.dport.get(), 4000);
        assert_eq!(flow(plane, server.ip, near.ip).in_ifindex, server.ifindex);
    });
}

#[test]
fn an_ended_pods_flows_are_forgotten_with_it() {
    for_each_family(|plane, cast| {
        let Cast { node, outside, server, .. } = cast;
        assert_eq!(plane.from_net(&Frame::new(outside, *node).syn(4000, HOST_PORT)).action, Action::Redirect);
        assert_eq!(plane.flows().len(), 2);
        plane.pinned().remove_endpoint(server.ip, server.ifindex).unwrap();
        assert_eq!(plane.flows().len(), 0);
    });
}

#[test]
fn a_mapping_of_another_pod_is_not_taken() {
    for_each_family(|plane, cast| {
        let mapping =
            Mapping { host_ip: any(cast), host_port: HOST_PORT, protocol: TCP, pod_ip: cast.near.ip, pod_port: 1 };
        assert_eq!(plane.pinned().map_port(&mapping, cast.near.ifindex).unwrap(), Err(cast.server.ifindex));
    });
}
