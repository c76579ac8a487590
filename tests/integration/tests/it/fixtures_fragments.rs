//! Walk 9 of the design as packets: fragments, in and out of order, between pods and through every translation.

mod translated;

use std::{
    net::IpAddr,
    sync::atomic::{AtomicU32, Ordering},
};

use caracal_abi::{Held, HeldKey, Hook, Reason, map, program};
use caracal_datapath::{Mapping, Table};
use caracal_harness::{Context, Frame, Life, Plane, Pod, shape};
use caracal_integration::Stage;

const HOST_PORT: u16 = 8080;
const POD_PORT: u16 = 80;
/// Who leaves by a NIC has whichever addresses the kernel writes later, once in a tick.
const ANY_MAC: [u8; 12] = [0; 12];
/// What is above IP in each fragment but the last.
const SIZES: [usize; 2] = [1000, 800];

fn payload() -> Vec<u8> {
    (0..=250).cycle().take(2500).collect()
}

/// A number that no datagram has had.
fn number() -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(0x1234);
    LAST.fetch_add(1, Ordering::Relaxed)
}

fn cut(whole: &[u8]) -> [Vec<u8>; 3] {
    cut_as(whole, number())
}

fn cut_as(whole: &[u8], id: u32) -> [Vec<u8>; 3] {
    shape::fragments(whole, id, &SIZES).try_into().unwrap()
}

/// Fragments that wait for the first of their datagram.
fn held(plane: &Plane) -> Vec<HeldKey> {
    let table = Table::<HeldKey, Held>::open(&plane.root().map(map::HELD)).unwrap();
    table.entries().unwrap().into_iter().map(|(key, _)| key).collect()
}

/// The same of one datagram.
fn held_of(plane: &Plane, number: u32) -> usize {
    held(plane).iter().filter(|key| key.id == number).count()
}

/// A packet from one address to another as it arrives in a pod.
fn arriving(pod: &Pod, from: IpAddr) -> Frame {
    Frame { mac: (pod.gateway, pod.mac), ip: (from, pod.ip), ttl: 63 }
}

/// A hop of a node, for any packet.
type Hop<'a> = &'a dyn Fn(&[u8]) -> Life<'a>;

/// Fragments of one packet become those of another, whatever order they come in.
#[track_caller]
fn come_through(plane: &Plane, hop: Hop<'_>, sent: &[u8], expected: &[u8]) {
    const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0]];
    for order in ORDERS {
        let id = number();
        let (sent, expected) = (cut_as(sent, id), cut_as(expected, id));
        let (early, rest) = order.split_at(order.iter().position(|n| *n == 0).unwrap());
        for (n, already) in early.iter().zip(0..) {
            assert_eq!(held_of(plane, id), already, "{order:?}");
            let _ = hop(&sent[*n]).dropped().counted(Reason::FragmentHeld).unchanged();
        }
        if !early.is_empty() {
            // Everything comes in once more, the first before the others.
            let _ = hop(&sent[0]).dropped().uncounted();
            assert_eq!(held_of(plane, id), 0, "{order:?}");
        }
        for n in std::iter::once(&0).chain(early).chain(&rest[1..]) {
            let life = hop(&sent[*n]).redirected();
            let life = if expected[*n].starts_with(&ANY_MAC) {
                let macs = life.packet()[..12].to_vec();
                life.is(&[&macs, &expected[*n][12..]].concat())
            } else {
                life.is(&expected[*n])
            };
            // A datagram is counted once, as whole packets are.
            let _ = if *n == 0 { life } else { life.uncounted() };
        }
    }
    assert_eq!(held(plane), []);
}

/// A packet of everything that has ports, or something like them, from one port to another.
fn datagrams(frame: Frame, sport: u16, dport: u16) -> [Vec<u8>; 2] {
    [frame.udp(sport, dport, &payload()), frame.tcp(sport, dport, caracal_harness::tcp::ACK, &payload())]
}

#[test]
fn between_pods_of_a_node() {
    Stage::each_family(|Stage { plane, a, b, .. }| {
        let hop = |packet: &[u8]| Life::of(packet).on(plane).from_pod(a);
        let all = |frame: Frame| {
            let [udp, tcp] = datagrams(frame, 4000, 53);
            let sctp = frame.sctp(4000, 53, &payload());
            [udp, tcp, sctp, frame.echo_request(7, 1, &payload()), frame.protocol(47, &payload())]
        };
        for (sent, expected) in all(Frame::new(a, b.ip)).iter().zip(all(arriving(b, a.ip))) {
            come_through(plane, &hop, sent, &expected);
        }
    });
}

#[test]
fn every_fragment_is_a_packet_of_its_flow() {
    Stage::each_family(|Stage { plane, a, b, .. }| {
        let [first, second, third] = cut(&Frame::new(a, b.ip).udp(4000, 53, &payload()));
        let life = Life::of(first.clone()).on(plane).from_pod(a).reaches(b).counted(Reason::NewFlow).packets(1);
        let bytes = (first.len() + second.len() + third.len()) as u64;
        let life = life.followed_by(second).from_pod(a).redirected().followed_by(third).from_pod(a).redirected();
        life.followed_by(first.clone()).from_pod(a).reaches(b).packets(4).flow(|flow| {
            assert_eq!(flow.bytes, bytes + first.len() as u64);
        });
    });
}

fn map_port(plane: &Plane, node: IpAddr, pod: &Pod) {
    for protocol in [6, 17, 132] {
        let mapping = Mapping { host_ip: node, host_port: HOST_PORT, protocol, pod_ip: pod.ip, pod_port: POD_PORT };
        plane.pinned().map_port(&mapping, pod.ifindex).unwrap().unwrap();
    }
}

#[test]
fn nothing_later_passes_whose_flow_is_forgotten() {
    Stage::each_family(|Stage { plane, a, b, .. }| {
        let [first, second, _] = cut(&Frame::new(a, b.ip).udp(4000, 53, &payload()));
        let _ = Life::of(first).on(plane).from_pod(a).reaches(b);
        plane.pinned().remove_endpoint(b.ip, b.ifindex).unwrap();
        assert_eq!(plane.flows().len(), 0);
        let _ = Life::of(second).on(plane).from_pod(a).dropped().counted(Reason::FragmentRefused);
    });
}

#[test]
fn a_fragment_is_of_whom_it_says_or_nobodys() {
    Stage::each_family(|Stage { plane, a, b, outside, .. }| {
        let [first, second, third] = cut(&Frame::new(a, b.ip).udp(4000, 53, &payload()));
        let life = Life::of(first).on(plane).from_pod(a).reaches(b);
        let life = life.followed_by(second.clone()).from_pod(b).dropped().counted(Reason::SpoofedAddress);
        let life = life.followed_by(second).from_pod(a).redirected();
        let mut forged = third;
        forged[6..12].copy_from_slice(&b.mac);
        let _ = life.followed_by(forged).from_pod(a).dropped().counted(Reason::SpoofedMac);
        let [_, strangers, _] = cut(&Frame::new(a, b.ip).source(outside.ip).udp(4000, 53, &payload()));
        let _ = Life::of(strangers).on(plane).from_pod(a).dropped().counted(Reason::SpoofedAddress);
        assert_eq!(held(plane), []);
    });
}

#[test]
fn two_senders_with_one_number_are_not_mixed_up() {
    Stage::each_family(|Stage { plane, eth0, node, a, b, outside }| {
        map_port(plane, *node, b);
        let other =
            Pod { ip: if a.ip.is_ipv4() { "198.51.100.8" } else { "2001:db8:ffff::8" }.parse().unwrap(), ..*outside };
        let id = number();
        let question = |from: &Pod, sport| cut_as(&Frame::new(from, *node).udp(sport, HOST_PORT, &payload()), id);
        let expected = |from: &Pod, sport| cut_as(&arriving(b, from.ip).udp(sport, POD_PORT, &payload()), id);
        let from_net = |packet: &[u8]| Life::of(packet).on(plane).from_net(eth0);
        let (one, two) = (question(outside, 4000), question(&other, 5000));
        let _ = from_net(&one[2]).dropped().counted(Reason::FragmentHeld);
        let _ = from_net(&two[1]).dropped().counted(Reason::FragmentHeld);
        // Its own is released, the other's is not.
        let _ = from_net(&two[0]).dropped().uncounted();
        assert_eq!(held_of(plane, id), 1);
        for n in [0, 1, 2] {
            let _ = from_net(&two[n]).redirected().is(&expected(&other, 5000)[n]);
        }
        let _ = from_net(&one[1]).dropped().counted(Reason::FragmentHeld);
        let _ = from_net(&one[0]).dropped().uncounted();
        for n in [0, 2, 1] {
            let _ = from_net(&one[n]).redirected().is(&expected(outside, 4000)[n]);
        }
    });
}

#[test]
fn ipv4_numbers_the_datagrams_of_each_protocol_and_ipv6_those_of_all() {
    Stage::each_family(|Stage { plane, a, b, .. }| {
        let [udp, tcp] = datagrams(Frame::new(a, b.ip), 4000, 53);
        let id = number();
        let ([first, ..], [_, later, _]) = (cut_as(&udp, id), cut_as(&tcp, id));
        let _ = Life::of(first).on(plane).from_pod(a).reaches(b);
        let life = Life::of(later).on(plane).from_pod(a);
        let _ = if a.ip.is_ipv4() { life.dropped().counted(Reason::FragmentHeld) } else { life.redirected() };
    });
}

#[test]
fn no_more_of_a_datagram_is_held_than_there_is_room_for() {
    Stage::each_family(|Stage { plane, a, b, .. }| {
        let from_pod = |packet: &[u8]| Life::of(packet).on(plane).from_pod(a);
        let [first, second, third] = cut(&Frame::new(a, b.ip).udp(4000, 53, &payload()));
        for _ in 0..Held::SLOTS {
            let _ = from_pod(&second).dropped().counted(Reason::FragmentHeld);
        }
        let _ = from_pod(&third).dropped().counted(Reason::FragmentTooMany);
        assert_eq!(held(plane).len(), Held::SLOTS as usize);
        let _ = from_pod(&first).dropped().uncounted();
        assert_eq!(held(plane), []);
        let long = Frame::new(a, b.ip).udp(4000, 53, &[7; 4000]);
        let long = shape::fragments(&long, number(), &[1000]).remove(1);
        let _ = from_pod(&long).dropped().counted(Reason::FragmentTooLong);
    });
}

#[test]
fn fragments_whose_first_never_comes_make_room_for_others() {
    Stage::each_family(|Stage { plane, a, b, .. }| {
        let whole = Frame::new(a, b.ip).udp(4000, 53, &payload());
        for _ in 0..2000 {
            let _ = plane.run(program::FROM_POD, &cut(&whole)[1], &Context::on(a.ifindex));
        }
        assert!((1..=1024).contains(&held(plane).len()));
        let [first, second, _] = cut(&whole);
        let life = Life::of(second.clone()).on(plane).from_pod(a).dropped().counted(Reason::FragmentHeld);
        let life = life.followed_by(first.clone()).from_pod(a).dropped().uncounted();
        let _ = life.followed_by(first).from_pod(a).reaches(b).followed_by(second).from_pod(a).redirected();
    });
}

#[test]
fn what_is_the_hosts_stays_the_hosts() {
    Stage::each_family(|Stage { plane, eth0, node, outside, .. }| {
        let from_net = |packet: &[u8]| Life::of(packet).on(plane).from_net(eth0);
        let own = cut(&Frame::new(outside, *node).udp(4000, 2049, &payload()));
        for fragment in &own {
            let _ = from_net(fragment).to_host().uncounted();
        }
        // It may be a pod's until the first has come.
        let own = cut(&Frame::new(outside, *node).udp(4000, 2049, &payload()));
        let _ = from_net(&own[1]).dropped().counted(Reason::FragmentHeld);
        let _ = from_net(&own[0]).dropped().uncounted();
        for n in [0, 1, 2] {
            let _ = from_net(&own[n]).to_host().uncounted();
        }
        // What nobody could hold, and what is for neither the node nor a pod.
        let [_, second, _] = cut(&Frame::new(outside, *node).udp(4000, 2049, &payload()));
        for _ in 0..Held::SLOTS {
            let _ = from_net(&second).dropped().counted(Reason::FragmentHeld);
        }
        let _ = from_net(&second).to_host().uncounted();
        let long =
            shape::fragments(&Frame::new(outside, *node).udp(4000, 2049, &[7; 4000]), number(), &[1000]).remove(1);
        let _ = from_net(&long).to_host().uncounted();
        let [_, transit, _] = cut(&Frame::new(outside, outside.ip).udp(4000, 2049, &payload()));
        let _ = from_net(&transit).to_host().uncounted();
    });
}

#[test]
fn beside_a_host_that_translates_a_datagram_goes_one_way() {
    Stage::each_family_with(
        |loader| caracal_datapath::Loader { host_nat: true, ..loader },
        |Stage { plane, a, b, .. }| {
            let from_pod = |pod: &Pod, packet: &[u8]| Life::of(packet).on(plane).from_pod(pod);
            let [first, second, third] = cut(&Frame::new(a, b.ip).udp(4000, 53, &payload()));
            let _ = from_pod(a, &first).to_host().counted(Reason::ViaHost);
            let _ = from_pod(a, &second).to_host().uncounted();
            // The answer to an earlier one makes the flow direct, but not what has begun by the host.
            let _ = from_pod(b, &Frame::new(b, a.ip).udp(53, 4000, b"answer")).reaches(a);
            let _ = from_pod(a, &third).to_host().uncounted();
            let id = number();
            let next = cut_as(&Frame::new(a, b.ip).udp(4000, 53, &payload()), id);
            let expected = cut_as(&arriving(b, a.ip).udp(4000, 53, &payload()), id);
            for (fragment, expected) in next.iter().zip(&expected) {
                let _ = from_pod(a, fragment).redirected().is(expected);
            }
        },
    );
}

#[test]
fn a_fragment_from_a_nic_to_a_pod_is_not_forwarded_by_its_address() {
    Stage::each_family(|Stage { plane, eth0, a, outside, .. }| {
        let from_net = |packet: &[u8]| Life::of(packet).on(plane).from_net(eth0);
        let sent = Frame::new(outside, a.ip).udp(4000, 53, &payload());
        come_through(plane, &from_net, &sent, &arriving(a, outside.ip).udp(4000, 53, &payload()));
        assert_eq!(plane.count_at(Hook::FromNet, Reason::Stateless).packets, 0);
    });
}

/// RFC 1858: nobody sees the ports of these but who puts them together.
#[test]
fn fragments_too_small_for_their_header_do_not_reach_a_pod() {
    Stage::each_family(|Stage { plane, eth0, node, a, b, outside }| {
        let tcp = |frame: Frame| shape::fragments(&frame.syn(4000, 80), number(), &[8]);
        for tiny in tcp(Frame::new(outside, a.ip)) {
            let _ = Life::of(tiny).on(plane).from_net(eth0).dropped().counted(Reason::Malformed);
        }
        let _ = Life::of(tcp(Frame::new(a, b.ip)).remove(0)).on(plane).from_pod(a).dropped().counted(Reason::Malformed);
        let _ = Life::of(tcp(Frame::new(outside, *node)).remove(0)).on(plane).from_net(eth0).to_host().uncounted();
    });
}
