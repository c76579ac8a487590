//! What the parser says of sound packets, one row each.

use caracal_logic::{Fragment, Kind};

use crate::{
    frames::{Extension, Frame, Transport, tcp, udp, v4, v4_options, v6},
    oracle,
    read::{Read, read},
};

fn parsed(frame: &Frame) -> Read {
    let bytes = frame.bytes();
    let (link, packet, _) = read(&bytes).unwrap_or_else(|e| panic!("{e:?}: {frame:?}")).expect("an IP packet");
    oracle::agrees(&bytes, &link, &packet);
    packet
}

fn part(offset: u16, more: bool) -> Fragment {
    Fragment { id: 7, offset, more }
}

#[test]
fn every_transport_over_both_families() {
    let sctp = Transport::Sctp { sport: 1, dport: 2 };
    for ip in [v4(), v6(&[])] {
        for transport in [tcp(), udp(), sctp.clone(), Transport::Other(47), Transport::Other(50), Transport::Other(59)]
        {
            let frame = Frame::new(ip.clone(), transport);
            assert_eq!(parsed(&frame), frame.expected());
        }
    }
}

#[test]
fn icmp_by_type() {
    for icmp_type in 0..=255 {
        for ip in [v4(), v6(&[])] {
            let frame = Frame::new(ip, Transport::Icmp(icmp_type, 99));
            assert_eq!(parsed(&frame), frame.expected());
        }
    }
}

#[test]
fn icmp_of_the_other_family_is_no_icmp() {
    for (ip, protocol) in [(v4(), 58), (v6(&[]), 1)] {
        let frame = Frame { payload: vec![8, 0, 0, 0, 0, 9, 0, 1], ..Frame::new(ip, Transport::Other(protocol)) };
        assert_eq!(parsed(&frame).kind, Kind::Other);
    }
}

#[test]
fn ipv4_options_move_the_transport() {
    for words in 0..=10 {
        let frame = Frame::new(v4_options(words), tcp());
        assert_eq!(parsed(&frame), frame.expected());
        assert_eq!(parsed(&frame).l4, 34 + 4 * words);
    }
}

#[test]
fn tcp_options_are_part_of_the_header() {
    for words in 0..=10 {
        let transport = Transport::Tcp { sport: 1, dport: 2, flags: 0xff, options: vec![[1; 4]; words] };
        let frame = Frame { payload: Vec::new(), ..Frame::new(v4(), transport) };
        assert_eq!(parsed(&frame), frame.expected());
    }
}

#[test]
fn each_extension_header_is_stepped_over() {
    for number in [0, 43, 60, 135, 139, 140] {
        for len in [0, 1, 255] {
            let frame = Frame::new(v6(&[Extension::Plain(number, len)]), tcp());
            assert_eq!(parsed(&frame), frame.expected(), "header {number}");
        }
    }
    for words in [0, 3, 252] {
        let frame = Frame::new(v6(&[Extension::Auth(words)]), tcp());
        assert_eq!(parsed(&frame), frame.expected(), "authentication");
    }
}

#[test]
fn eight_long_extension_headers() {
    let frame = Frame::new(v6(&[Extension::Plain(60, 255); 8]), udp());
    assert_eq!(parsed(&frame), frame.expected());
    assert_eq!(parsed(&frame).l4, 54 + 8 * 2048);
}

#[test]
fn a_chain_ends_at_esp_and_at_no_next_header() {
    for protocol in [50, 59] {
        // What follows looks like TCP, and must not be read as such.
        let frame = Frame::new(v6(&[Extension::Plain(60, 0)]), Transport::Other(protocol));
        let packet = parsed(&Frame { payload: vec![6; 40], ..frame });
        assert_eq!((packet.kind, packet.protocol, packet.sport), (Kind::Other, protocol, 0));
    }
}

#[test]
fn the_first_fragment_has_ports() {
    for ip in [v4().fragment(0, true), v6(&[]).fragment(0, true)] {
        let frame = Frame::new(ip, udp());
        let packet = parsed(&frame);
        assert_eq!(packet, frame.expected());
        assert_eq!((packet.kind, packet.dport, packet.fragment), (Kind::Udp, 53, part(0, true)));
    }
}

#[test]
fn later_fragments_have_none() {
    for (offset, more) in [(8, true), (1480, true), (1480, false), (65504, false)] {
        for ip in [v4().fragment(offset, more), v6(&[]).fragment(offset, more)] {
            let frame = Frame::new(ip, udp());
            let packet = parsed(&frame);
            assert_eq!(packet, frame.expected());
            assert_eq!((packet.kind, packet.sport, packet.fragment), (Kind::Fragment, 0, part(offset, more)));
        }
    }
}

#[test]
fn a_later_fragment_of_options_is_not_read_as_options() {
    // The fragment header's next header is that of the first fragment: here destination options.
    let frame = Frame {
        payload: vec![17, 0, 1, 4, 0, 0, 0, 0, 1, 2, 3, 4],
        ..Frame::new(v6(&[]).fragment(16, false), Transport::Other(60))
    };
    let packet = parsed(&frame);
    assert_eq!((packet.kind, packet.protocol, packet.l4), (Kind::Fragment, 60, 14 + 40 + 8));
}

#[test]
fn an_atomic_fragment_is_a_whole_datagram() {
    let frame = Frame::new(v6(&[]).fragment(0, false), tcp());
    let packet = parsed(&frame);
    assert_eq!(packet, frame.expected());
    assert!(!packet.fragment.is_part());
}

#[test]
fn padding_of_short_frames_is_none_of_the_packet() {
    for padding in [1, 6, 26] {
        let frame = Frame { payload: Vec::new(), padding, ..Frame::new(v4(), udp()) };
        assert_eq!(parsed(&frame), frame.expected());
    }
}

#[test]
fn a_length_of_zero_leaves_it_to_the_packet() {
    let mut bytes = Frame::new(v4(), tcp()).bytes();
    bytes[16..18].fill(0);
    let (_, packet, _) = read(&bytes).unwrap().unwrap();
    assert_eq!((packet.kind, packet.l3_len, packet.dport), (Kind::Tcp, 0, 80));

    // IPv6 with BIG TCP: a hop-by-hop header that carries the jumbo option comes first.
    for extensions in [&[][..], &[Extension::Plain(0, 0)]] {
        let mut bytes = Frame::new(v6(extensions), tcp()).bytes();
        bytes[18..20].fill(0);
        let (_, packet, _) = read(&bytes).unwrap().unwrap();
        assert_eq!((packet.kind, packet.l3_len, packet.dport), (Kind::Tcp, 0, 80));
    }
}

#[test]
fn a_udp_length_of_zero_or_beyond_the_datagram_is_the_receivers_matter() {
    for len in [0_u16, 8, 0xffff] {
        let mut bytes = Frame::new(v6(&[]), udp()).bytes();
        bytes[58..60].copy_from_slice(&len.to_be_bytes());
        let (_, packet, _) = read(&bytes).unwrap().unwrap();
        assert_eq!((packet.kind, packet.dport), (Kind::Udp, 53));
    }
}
