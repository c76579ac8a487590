//! Walk 4 of the design as packets: from a pod to the outside world under the node's address, and back.

use std::{collections::BTreeSet, net::IpAddr};

use caracal_abi::{Flow, Reason, Via};
use caracal_datapath::Loader;
use caracal_harness::{Frame, Life, Problem, Quote};
use caracal_integration::Stage;

const PORTS: std::ops::RangeInclusive<u16> = 20_000..=29_999;

/// The stage, on a node that masquerades from these ports.
fn on_stage(ports: std::ops::RangeInclusive<u16>, body: impl Fn(&Stage<'_>) + Sync) {
    Stage::each_family_with(|loader| Loader { masquerade: Some(ports.clone()), ..loader }, body);
}

/// The source port a packet has now.
fn port(life: &Life<'_>) -> u16 {
    let mut port = 0;
    let _ = life.clone().shows(|it| port = it.ports().unwrap().0);
    port
}

#[test]
fn a_connection_leaves_as_the_nodes_and_its_answers_find_the_pod() {
    on_stage(PORTS, |Stage { plane, eth0, node, a, outside, .. }| {
        let out = Life::of(Frame::new(a, outside.ip).syn(40_000, 443)).on(plane).from_pod(a).redirected();
        let out = out.counted(Reason::NewFlow).out_of(eth0.ifindex);
        let lent = port(&out);
        assert!(PORTS.contains(&lent), "{lent}");
        let accepted = out
            .becomes(|it| it.aged().src(*node).sport(lent).mac(eth0.mac, outside.mac))
            .answered()
            .from_net(eth0)
            .redirected()
            .uncounted()
            .becomes(|it| it.aged().dst(a.ip).dport(40_000).mac(a.gateway, a.mac))
            .reaches(a);
        let ack = accepted.answered().from_pod(a).redirected().uncounted();
        ack.becomes(|it| it.aged().src(*node).sport(lent).mac(eth0.mac, outside.mac))
            .packets(2)
            .followed_by(Frame::new(outside, *node).ack(443, lent))
            .from_net(eth0)
            .becomes(|it| it.aged().dst(a.ip).dport(40_000).mac(a.gateway, a.mac))
            .reaches(a);
    });
}

#[test]
fn a_port_of_those_to_be_lent_is_kept() {
    on_stage(PORTS, |Stage { plane, node, a, b, outside, .. }| {
        let first = Life::of(Frame::new(a, outside.ip).udp(25_000, 53, b"?")).on(plane).from_pod(a).redirected();
        assert_eq!(port(&first), 25_000);
        // Another pod with the same port gets another one, but keeps it towards somebody else.
        let second = first.followed_by(Frame::new(b, outside.ip).udp(25_000, 53, b"?")).from_pod(b).redirected();
        assert_ne!(port(&second), 25_000);
        let third = second.followed_by(Frame::new(b, outside.ip).udp(25_000, 5353, b"?")).from_pod(b).redirected();
        assert_eq!(port(&third), 25_000);
        let _ = third.is_from_to(*node, outside.ip);
    });
}

#[test]
fn echoes_other_protocols_and_sctp_are_masqueraded_as_far_as_they_have_ports() {
    on_stage(PORTS, |Stage { plane, eth0, node, a, b, outside }| {
        let echo = Life::of(Frame::new(a, outside.ip).echo_request(7, 1, b"ping")).on(plane).from_pod(a).redirected();
        let echo = echo.is_from_to(*node, outside.ip).answered().from_net(eth0).redirected();
        let _ = echo.is(Life::of(Frame::new(outside, a.ip).ttl(63).echo_reply(7, 1, b"ping"))
            .on_the_way(|it| it.mac(a.gateway, a.mac))
            .packet());
        let sctp = Life::of(Frame::new(a, outside.ip).sctp(40_000, 80, &[1, 0, 0, 4])).on(plane).from_pod(a);
        let _ = sctp.redirected().is_from_to(*node, outside.ip).answered().from_net(eth0).reaches_as(a, 40_000);
        // Two pods cannot speak GRE with the same somebody at once: nothing in it tells them apart.
        let gre = Life::of(Frame::new(a, outside.ip).protocol(47, &[0; 8])).on(plane).from_pod(a).redirected();
        let gre = gre.is_from_to(*node, outside.ip).answered().from_net(eth0).reaches(a);
        let gre = gre.followed_by(Frame::new(b, outside.ip).protocol(47, &[0; 8])).from_pod(b).dropped();
        let _ = gre.counted(Reason::NoPort);
    });
}

trait ReachesAs {
    fn reaches_as(self, pod: &caracal_harness::Pod, port: u16) -> Self;
}

impl ReachesAs for Life<'_> {
    #[track_caller]
    fn reaches_as(self, pod: &caracal_harness::Pod, port: u16) -> Self {
        let ip = pod.ip;
        self.redirected().shows(|it| assert_eq!((it.ip().1, it.ports().unwrap().1), (ip, port), "{it}"))
    }
}

#[test]
fn who_knows_the_way_to_pods_sees_their_addresses() {
    on_stage(PORTS, |Stage { plane, eth0, a, outside, .. }| {
        let inside = if a.ip.is_ipv4() { "198.51.100.0/24" } else { "2001:db8:ffff::/48" };
        let inside: BTreeSet<_> = [inside.parse().unwrap()].into();
        plane.pinned().set_inside(&inside).unwrap();
        Life::of(Frame::new(a, outside.ip).syn(40_000, 443))
            .on(plane)
            .from_pod(a)
            .redirected()
            .becomes(|it| it.aged().mac(eth0.mac, outside.mac))
            .answered()
            .from_net(eth0)
            .reaches(a);
        assert_eq!(plane.pinned().set_inside(&BTreeSet::new()).unwrap(), 1);
    });
}

#[test]
fn when_every_port_is_lent_the_next_flow_is_dropped_and_counted_until_one_is_over() {
    on_stage(20_000..=20_003, |Stage { plane, eth0, a, outside, node, .. }| {
        let dropped = plane.count(Reason::NoPort).packets;
        let syn = |port| Life::of(Frame::new(a, outside.ip).syn(port, 443)).on(plane).from_pod(a);
        let lent: BTreeSet<u16> = (1000..1004).map(|client| port(&syn(client).redirected())).collect();
        assert_eq!(lent, (20_000..=20_003).collect());
        let _ = syn(1004).dropped();
        assert_eq!(plane.count(Reason::NoPort).packets - dropped, 1);
        // Somebody else's ports are others.
        let _ = Life::of(Frame::new(a, outside.ip).syn(1004, 80)).on(plane).from_pod(a).redirected();
        // A connection that both sides have ended gives its port up.
        let first = port(&syn(1000).redirected());
        let from_net = |packet| Life::of(packet).on(plane).from_net(eth0).redirected();
        let from_pod = |packet| Life::of(packet).on(plane).from_pod(a).redirected();
        let _ = from_net(Frame::new(outside, *node).syn_ack(443, first));
        let _ = from_pod(Frame::new(a, outside.ip).ack(1000, 443));
        let _ = from_pod(Frame::new(a, outside.ip).fin(1000, 443));
        let _ = from_net(Frame::new(outside, *node).fin(443, first));
        assert_eq!(port(&syn(1004).redirected()), first);
    });
}

#[test]
fn without_an_address_to_lend_nothing_leaves() {
    on_stage(PORTS, |Stage { plane, a, outside, .. }| {
        plane.pinned().set_nics(&std::collections::BTreeMap::new()).unwrap();
        let _ =
            Life::of(Frame::new(a, outside.ip).syn(1, 443)).on(plane).from_pod(a).dropped().counted(Reason::NoSource);
    });
}

#[test]
fn a_routers_word_about_a_masqueraded_packet_reaches_the_pod_that_sent_it() {
    on_stage(PORTS, |Stage { plane, eth0, a, outside, .. }| {
        let router: IpAddr = if a.ip.is_ipv4() { "203.0.113.1" } else { "2001:db8:1::1" }.parse().unwrap();
        for quote in [Quote::Eight, Quote::Allowed] {
            for (sport, problem) in
                (40_000..).zip([Problem::TooBig { mtu: 1400 }, Problem::TimeExceeded, Problem::PortUnreachable])
            {
                for packet in [
                    Frame::new(a, outside.ip).udp(sport, 53, b"question"),
                    Frame::new(a, outside.ip).syn(sport, 53),
                    Frame::new(a, outside.ip).echo_request(sport, 1, b"x"),
                    Frame::new(a, outside.ip).sctp(sport, 53, &[1, 0, 0, 4]),
                ] {
                    let sent = packet.clone();
                    let error = Life::of(packet).on(plane).from_pod(a).redirected().refused(router, problem, quote);
                    let error = error.from_net(eth0).redirected().counted(Reason::Related);
                    let _ = error.is_from_to(router, a.ip).shows(|it| {
                        let quoted = it.quoted().unwrap();
                        let original = caracal_harness::Packet::from_ethernet(&sent).unwrap();
                        assert_eq!((quoted.ip(), quoted.ports()), (original.ip(), original.ports()), "{it}");
                    });
                }
            }
        }
    });
}

#[test]
fn flows_of_the_way_out_are_asked_for_again_when_the_route_has_changed() {
    let in_time = |loader| Loader { masquerade: Some(PORTS), tick_shift: None, ..loader };
    Stage::each_family_with(in_time, |Stage { plane, eth0, a, outside, .. }| {
        let question = || Frame::new(a, outside.ip).udp(25_001, 53, b"?");
        let life = Life::of(question()).on(plane).from_pod(a).redirected().via(Via::Egress);
        life.flow(|flow| assert!(flow.has(Flow::<IpAddr>::ROUTED | Flow::<IpAddr>::MASQUERADED)));
        let all = if a.ip.is_ipv4() { "198.51.100.0/24" } else { "2001:db8:ffff::/48" };
        plane.net().blackhole(all);
        // Not before the next tick.
        plane.wait_for_a_tick();
        let _ = Life::of(question()).on(plane).from_pod(a).dropped().via(Via::Discard);
        plane.net().unroute(all);
        plane.wait_for_a_tick();
        let _ = Life::of(question()).on(plane).from_pod(a).redirected().via(Via::Egress).out_of(eth0.ifindex);
    });
}
