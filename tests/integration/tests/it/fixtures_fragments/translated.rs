//! Fragments that are given other addresses and ports, and those whose first is not sent on.

use std::{collections::BTreeMap, net::IpAddr};

use caracal_abi::Reason;
use caracal_harness::{Frame, Life, Pod, shape};
use caracal_integration::Stage;

use super::{HOST_PORT, POD_PORT, arriving, come_through, cut, datagrams, map_port, number, payload};

/// A packet as it leaves by a NIC.
fn leaving(node: IpAddr, to: &Pod) -> Frame {
    Frame { mac: ([0; 6], [0; 6]), ip: (node, to.ip), ttl: 63 }
}

#[test]
fn from_outside_to_a_port_of_the_node_and_back() {
    Stage::each_family(|Stage { plane, eth0, node, a, outside, .. }| {
        map_port(plane, *node, a);
        let (hop, back) = (
            |packet: &[u8]| Life::of(packet).on(plane).from_net(eth0),
            |packet: &[u8]| Life::of(packet).on(plane).from_pod(a),
        );
        let questions = datagrams(Frame::new(outside, *node), 4000, HOST_PORT);
        for (sent, expected) in questions.iter().zip(datagrams(arriving(a, outside.ip), 4000, POD_PORT)) {
            come_through(plane, &hop, sent, &expected);
        }
        let answers = datagrams(Frame::new(a, outside.ip), POD_PORT, 4000);
        for (sent, expected) in answers.iter().zip(datagrams(leaving(*node, outside), HOST_PORT, 4000)) {
            come_through(plane, &back, sent, &expected);
        }
    });
}

#[test]
fn from_a_pod_to_another_and_to_itself_by_the_nodes_address() {
    Stage::each_family(|Stage { plane, node, a, b, .. }| {
        map_port(plane, *node, b);
        let gateway: IpAddr = if node.is_ipv4() { "169.254.1.1" } else { "fe80::1" }.parse().unwrap();
        for (from, seen_as) in [(a, a.ip), (b, gateway)] {
            let there = |packet: &[u8]| Life::of(packet).on(plane).from_pod(from);
            let back = |packet: &[u8]| Life::of(packet).on(plane).from_pod(b);
            let questions = datagrams(Frame::new(from, *node), 4000, HOST_PORT);
            for (sent, expected) in questions.iter().zip(datagrams(arriving(b, seen_as), 4000, POD_PORT)) {
                come_through(plane, &there, sent, &expected);
            }
            let answers = datagrams(Frame::new(b, seen_as), POD_PORT, 4000);
            for (sent, expected) in answers.iter().zip(datagrams(arriving(from, *node), HOST_PORT, 4000)) {
                come_through(plane, &back, sent, &expected);
            }
        }
    });
}

/// The stage, on a node that masquerades.
fn masquerading(body: impl Fn(&Stage<'_>) + Sync) {
    Stage::each_family_with(
        // Routes change here, which flows notice with the next tick.
        |loader| caracal_datapath::Loader { masquerade: Some(20_000..=29_999), tick_shift: None, ..loader },
        body,
    );
}

#[test]
fn masqueraded_and_back() {
    masquerading(|Stage { plane, eth0, node, a, outside, .. }| {
        let there = |packet: &[u8]| Life::of(packet).on(plane).from_pod(a);
        let back = |packet: &[u8]| Life::of(packet).on(plane).from_net(eth0);
        let leaving = leaving(*node, outside);
        // Of the ports to be lent one is kept; another one changes.
        for sport in [25_000, 40_000] {
            let probe = datagrams(Frame::new(a, outside.ip), sport, 53);
            for (n, sent) in probe.iter().enumerate() {
                let mut lent = 0;
                let _ = there(&cut(sent)[0]).redirected().shows(|it| lent = it.ports().unwrap().0);
                come_through(plane, &there, sent, &datagrams(leaving, lent, 53)[n]);
                let answer = &datagrams(Frame::new(outside, *node), 53, lent)[n];
                come_through(plane, &back, answer, &datagrams(arriving(a, outside.ip), 53, sport)[n]);
            }
        }
        let mut lent = 0;
        let request = Frame::new(a, outside.ip).echo_request(7, 1, &payload());
        let _ = there(&cut(&request)[0]).redirected().shows(|it| {
            lent = u16::from_be_bytes(it.transport()[4..6].try_into().unwrap());
        });
        come_through(plane, &there, &request, &leaving.echo_request(lent, 1, &payload()));
        let reply = Frame::new(outside, *node).echo_reply(lent, 1, &payload());
        come_through(plane, &back, &reply, &arriving(a, outside.ip).echo_reply(7, 1, &payload()));
    });
}

#[test]
fn nothing_later_passes_whose_first_was_dropped() {
    masquerading(|Stage { plane, a, outside, .. }| {
        plane.pinned().set_nics(&BTreeMap::new()).unwrap();
        let [first, second, third] = cut(&Frame::new(a, outside.ip).udp(4000, 53, &payload()));
        let life = Life::of(second.clone()).on(plane).from_pod(a).dropped().counted(Reason::FragmentHeld);
        let life = life.followed_by(first.clone()).from_pod(a).dropped().uncounted();
        let life = life.followed_by(first).from_pod(a).dropped().counted(Reason::NoSource);
        let life = life.followed_by(second).from_pod(a).dropped().counted(Reason::FragmentRefused);
        let _ = life.followed_by(third).from_pod(a).dropped().counted(Reason::FragmentRefused);
    });
}

#[test]
fn nothing_later_passes_whose_first_was_answered() {
    masquerading(|Stage { plane, a, outside, .. }| {
        let from_pod = |packet: &[u8]| Life::of(packet).on(plane).from_pod(a);
        let pieces = || {
            let whole = Frame::new(a, outside.ip).udp(4000, 53, &payload());
            <[Vec<u8>; 3]>::try_from(shape::fragments(&whole, number(), &[1400, 400])).unwrap()
        };
        let _ = from_pod(&pieces()[0]).redirected();
        let all = if a.ip.is_ipv4() { "198.51.100.0/24" } else { "2001:db8:ffff::/48" };
        let gateway = if a.ip.is_ipv4() { "192.0.2.254" } else { "2001:db8::fe" };
        plane.net().route(all, &format!("via {gateway} dev eth0 mtu lock 1300"));
        plane.wait_for_a_tick();
        let [first, second, third] = pieces();
        let _ = from_pod(&first).redirected().counted(Reason::TooBig);
        for later in [second, third] {
            let _ = from_pod(&later).dropped().counted(Reason::FragmentRefused);
        }
    });
}
