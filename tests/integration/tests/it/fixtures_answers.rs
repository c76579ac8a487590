//! Walk 8 of the design as packets: what the programs answer themselves, because the host knows nothing of translated flows.

use std::net::IpAddr;

use caracal_abi::Reason;
use caracal_datapath::{Loader, Mapping};
use caracal_harness::{Frame, Life, Packet, tcp};
use caracal_integration::Stage;

const TCP: u8 = 6;
const UDP: u8 = 17;
const HOST_PORT: u16 = 8080;

fn masquerading(body: impl Fn(&Stage<'_>) + Sync) {
    Stage::each_family_with(|loader| Loader { masquerade: Some(20_000..=29_999), ..loader }, body);
}

fn map_port(stage: &Stage<'_>) {
    let host_ip: IpAddr = if stage.node.is_ipv4() { "0.0.0.0" } else { "::" }.parse().unwrap();
    for protocol in [TCP, UDP] {
        let mapping = Mapping { host_ip, host_port: HOST_PORT, protocol, pod_ip: stage.a.ip, pod_port: 80 };
        stage.plane.pinned().map_port(&mapping, stage.a.ifindex).unwrap().unwrap();
    }
}

/// Type and code for IPv4 and IPv6.
fn is_error(packet: &Packet, v4: (u8, u8), v6: (u8, u8), about: &[u8]) {
    assert_eq!(packet.icmp(), Some(if packet.is_ipv4() { v4 } else { v6 }), "{packet}");
    let (quoted, original) = (packet.quoted().unwrap(), Packet::from_ethernet(about).unwrap());
    assert_eq!((quoted.ip(), quoted.ports()), (original.ip(), original.ports()), "{packet}");
}

#[test]
fn a_lifetime_that_ends_on_the_way_to_a_service_is_told_to_the_sender() {
    Stage::each_family(|stage| {
        let Stage { plane, eth0, node, outside, b, .. } = stage;
        map_port(stage);
        for packet in [
            Frame::new(outside, *node).ttl(1).syn(4000, HOST_PORT),
            Frame::new(outside, *node).ttl(1).udp(4000, HOST_PORT, b"question"),
        ] {
            let answer = Life::of(packet.clone()).on(plane).from_net(eth0).redirected().counted(Reason::TtlAnswered);
            let _ = answer.is_from_to(*node, outside.ip).shows(|it| {
                is_error(it, (11, 0), (3, 0), &packet);
                assert_eq!(it.mac(), (eth0.mac, outside.mac));
            });
        }
        let packet = Frame::new(b, *node).ttl(1).syn(4000, HOST_PORT);
        let answer = Life::of(packet.clone()).on(plane).from_pod(b).redirected().counted(Reason::TtlAnswered);
        let _ = answer.is_from_to(*node, b.ip).shows(|it| is_error(it, (11, 0), (3, 0), &packet));
    });
}

#[test]
fn a_lifetime_that_ends_on_the_way_back_is_told_to_the_sender() {
    masquerading(|Stage { plane, eth0, node, a, outside, .. }| {
        let out = Life::of(Frame::new(a, outside.ip).udp(20_001, 53, b"question")).on(plane).from_pod(a).redirected();
        let answer = Frame::new(outside, *node).ttl(1).udp(53, 20_001, b"answer");
        let told = out.followed_by(answer.clone()).from_net(eth0).redirected().counted(Reason::TtlAnswered);
        let _ = told.is_from_to(*node, outside.ip).shows(|it| is_error(it, (11, 0), (3, 0), &answer));
    });
}

#[test]
fn a_masqueraded_packet_that_does_not_fit_the_link_is_told_the_mtu() {
    masquerading(|Stage { plane, eth0, a, outside, .. }| {
        plane.net().ip(&[format!("link set {} mtu 1400", eth0.name)]);
        let first = Life::of(Frame::new(a, outside.ip).udp(20_001, 53, b"short")).on(plane).from_pod(a).redirected();
        let packet = Frame::new(a, outside.ip).udp(20_001, 53, &[7; 1450]);
        let told = first.followed_by(packet.clone()).from_pod(a).redirected().counted(Reason::TooBig);
        let _ = told.shows(|it| {
            is_error(it, (3, 4), (2, 0), &packet);
            assert_eq!((it.mtu(), it.ip().1), (Some(1400), a.ip), "{it}");
            assert_eq!(it.mac(), (a.gateway, a.mac));
        });
        plane.net().ip(&[format!("link set {} mtu 1500", eth0.name)]);
    });
}

#[test]
fn a_packet_of_several_segments_fits_if_each_of_them_does() {
    masquerading(|Stage { plane, a, outside, .. }| {
        let first = Life::of(Frame::new(a, outside.ip).udp(20_001, 53, b"short")).on(plane).from_pod(a).redirected();
        let long = Frame::new(a, outside.ip).udp(20_001, 53, &[7; 2800]);
        let segments = caracal_harness::Context::default().segments(2, 1400);
        let fits = first.followed_by(long.clone()).with(segments).from_pod(a).redirected().uncounted();
        let too_long = caracal_harness::Context::default().segments(2, 1480);
        let _ = fits.followed_by(long).with(too_long).from_pod(a).redirected().counted(Reason::TooBig);
    });
}

#[test]
fn a_connection_that_was_cut_is_told_so_to_whoever_goes_on() {
    Stage::each_family(|Stage { plane, a, b, .. }| {
        let life = Life::of(Frame::new(a, b.ip).syn(4000, 80)).on(plane).from_pod(a).redirected();
        let life = life.answered().from_pod(b).redirected().answered().from_pod(a).redirected();
        let (mut v4, mut v6) = (plane.pinned().flows4().unwrap(), plane.pinned().flows6().unwrap());
        let cut = if a.ip.is_ipv4() { v4.reset(|_, _| true) } else { v6.reset(|_, _| true) };
        cut.unwrap();
        let data = Frame::new(a, b.ip).tcp(4000, 80, tcp::ACK | tcp::PSH, b"more");
        let told = life.followed_by(data).from_pod(a).redirected().counted(Reason::Reset);
        let told = told.is_from_to(b.ip, a.ip).shows(|it| {
            assert_eq!((it.ports(), it.tcp_flags()), (Some((80, 4000)), Some(tcp::RST)), "{it}");
            assert_eq!((it.payload().len(), it.mac()), (0, (a.gateway, a.mac)));
        });
        let told = told.followed_by(Frame::new(b, a.ip).ack(80, 4000)).from_pod(b).redirected().counted(Reason::Reset);
        let told = told.is_from_to(a.ip, b.ip);
        // A connection that is opened there again is another one.
        let again = told.followed_by(Frame::new(a, b.ip).syn(4000, 80)).from_pod(a).redirected();
        let _ = again.counted(Reason::NewFlow).reaches(b);
    });
}
