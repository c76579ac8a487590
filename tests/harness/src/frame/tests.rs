//! What is built is what etherparse reads, checksums included.

use std::net::{IpAddr, Ipv6Addr};

use etherparse::{
    NetSlice, SlicedPacket, TransportSlice,
    defrag::{IpDefragPayloadVec, IpDefragPool},
};

use super::{Frame, Problem, Quote, tcp};
use crate::{Packet, Pod, packet, shape};

fn frames() -> [Frame; 2] {
    [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")]
        .map(|(from, to)| Frame::new(&Pod::new(from, 1, 11), to.parse().unwrap()))
}

fn reply(frame: Frame) -> Frame {
    Frame { ip: (frame.ip.1, frame.ip.0), mac: (frame.mac.1, frame.mac.0), ..frame }
}

#[test]
fn every_packet_is_well_formed_and_its_checksums_are_right() {
    for frame in frames() {
        let udp = frame.udp(4000, 53, &[7; 2000]);
        let mut all = vec![
            frame.tcp(1, 2, tcp::PSH | tcp::ACK | tcp::ECE, b"data"),
            frame.fin(1, 2),
            frame.rst(1, 2),
            frame.syn(1, 2),
            frame.sctp(1, 2, b"chunk"),
            frame.echo_request(7, 1, b"ping"),
            frame.echo_reply(7, 1, b"ping"),
            frame.protocol(47, b"whatever GRE carries"),
            frame.protocol(50, b"encrypted"),
            frame.udp(1, 2, &[1; 60_000]),
        ];
        for problem in [Problem::PortUnreachable, Problem::TooBig { mtu: 1400 }, Problem::TimeExceeded] {
            for quote in [Quote::Eight, Quote::Allowed, Quote::Bytes(3000)] {
                all.push(reply(frame).error(problem, &udp, quote));
            }
        }
        for packet in all {
            SlicedPacket::from_ethernet(&packet).unwrap();
            packet::verify(&packet).unwrap();
        }
    }
}

#[test]
fn flags_and_ports_are_where_they_belong() {
    for frame in frames() {
        let packet = frame.tcp(4000, 80, tcp::RST | tcp::URG | tcp::CWR, b"x");
        let parsed = SlicedPacket::from_ethernet(&packet).unwrap();
        let Some(TransportSlice::Tcp(segment)) = parsed.transport else { panic!("no TCP") };
        assert_eq!((segment.source_port(), segment.destination_port(), segment.payload()), (4000, 80, &b"x"[..]));
        assert!(segment.rst() && segment.urg() && segment.cwr());
        assert!(!segment.syn() && !segment.ack() && !segment.fin() && !segment.psh() && !segment.ece());
        assert_eq!(Packet::from_ethernet(&packet).unwrap().tcp_flags(), Some(tcp::RST | tcp::URG | tcp::CWR));
    }
}

#[test]
fn errors_quote_as_much_as_was_asked_for() {
    for (frame, own, headers) in frames().into_iter().zip([14 + 20, 14 + 40]).zip([20, 40]).map(|((f, o), h)| (f, o, h))
    {
        let about = frame.udp(4000, 53, &[7; 3000]);
        let length = |quote| reply(frame).error(Problem::TooBig { mtu: 1400 }, &about, quote).len() - own - 8;
        assert_eq!(length(Quote::Eight), headers + 8);
        assert_eq!(length(Quote::Bytes(100)), headers + 100);
        assert_eq!(length(Quote::Bytes(5000)), headers + 8 + 3000, "no more than there is");
        let largest = if headers == 20 { 576 } else { 1280 };
        assert_eq!(length(Quote::Allowed) + own + 8 - 14, largest);
        let error = reply(frame).error(Problem::TooBig { mtu: 1400 }, &about, Quote::Eight);
        let error = Packet::from_ethernet(&error).unwrap();
        assert_eq!(error.mtu(), Some(1400));
        let quoted = error.quoted().unwrap();
        assert_eq!((quoted.ip(), quoted.ports(), quoted.is_complete()), (frame.ip, Some((4000, 53)), false));
    }
}

#[test]
fn fragments_make_the_packet_again() {
    for frame in frames() {
        let whole = frame.udp(4000, 53, &(0..=255).cycle().take(3000).collect::<Vec<u8>>());
        let fragments = shape::fragments(&whole, 0x1234, &[1480, 8]);
        assert_eq!(fragments.len(), 3);
        let mut pool: IpDefragPool<(), ()> = IpDefragPool::new();
        let mut made: Option<IpDefragPayloadVec> = None;
        // Out of order.
        for fragment in fragments.iter().rev() {
            packet::verify(fragment).unwrap();
            let sliced = SlicedPacket::from_ethernet(fragment).unwrap();
            assert!(sliced.transport.is_none());
            made = pool.process_sliced_packet(&sliced, (), ()).unwrap();
        }
        assert_eq!(made.unwrap().payload, Packet::from_ethernet(&whole).unwrap().transport());
        let first = Packet::from_ethernet(&fragments[0]).unwrap();
        assert_eq!((first.ports(), first.fragment().unwrap().more), (Some((4000, 53)), true));
        let last = Packet::from_ethernet(&fragments[2]).unwrap();
        assert_eq!((last.ports(), last.fragment().unwrap().offset), (None, 1488));
    }
}

#[test]
fn options_tags_and_extension_headers_hide_nothing() {
    let [v4, v6] = frames();
    let optional = shape::ipv4_options(&v4.udp(4000, 53, b"x"), &[0x94, 4, 0, 0]);
    let extended = shape::ipv6_extension(&v6.udp(4000, 53, b"x"), 60, &[1, 4, 0, 0, 0, 0]);
    let extended = shape::ipv6_extension(&extended, 0, &[1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let atomic = shape::atomic_fragment(&v6.udp(4000, 53, b"x"), 9);
    for frame in [optional, extended, atomic] {
        for frame in [frame.clone(), shape::vlan(&frame, 7), shape::provider_vlan(&shape::vlan(&frame, 7), 8)] {
            packet::verify(&frame).unwrap();
            let parsed = SlicedPacket::from_ethernet(&frame).unwrap();
            assert!(matches!(parsed.transport, Some(TransportSlice::Udp(udp)) if udp.destination_port() == 53));
            assert_eq!(Packet::from_ethernet(&frame).unwrap().ports(), Some((4000, 53)));
        }
    }
}

#[test]
fn neighbours_are_discovered_by_well_formed_packets() {
    let frame = frames()[1];
    let target: Ipv6Addr = "fd00::9".parse().unwrap();
    let messages = [
        frame.router_solicitation(),
        frame.router_advertisement(),
        frame.neighbour_solicitation(target),
        frame.neighbour_advertisement(target),
        frame.multicast_report("ff02::1:3".parse().unwrap()),
    ];
    for (message, kind) in messages.into_iter().zip([133, 134, 135, 136, 143]) {
        packet::verify(&message).unwrap();
        let parsed = SlicedPacket::from_ethernet(&message).unwrap();
        let Some(TransportSlice::Icmpv6(icmp)) = parsed.transport else { panic!("no ICMPv6") };
        assert_eq!(icmp.type_u8(), kind);
        let Some(NetSlice::Ipv6(ip)) = parsed.net else { panic!("no IPv6") };
        assert_eq!(ip.header().hop_limit(), if kind == 143 { 1 } else { 255 });
    }
}

#[test]
fn a_checksum_may_be_left_out_in_ipv4() {
    let frame = frames()[0];
    let packet = frame.udp_without_checksum(4000, 53, b"x");
    assert_eq!(packet[14 + 20 + 6..][..2], [0, 0]);
    packet::verify(&packet).unwrap();
    let other: IpAddr = "10.9.9.9".parse().unwrap();
    let translated = packet::Edit::of(&packet).src(other).into_bytes();
    assert_eq!(translated[14 + 20 + 6..][..2], [0, 0], "who translates it leaves it out as well");
}
