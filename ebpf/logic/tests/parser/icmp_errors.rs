//! The packet inside an ICMP error.

use caracal_logic::{Kind, Malformed};

use crate::{
    frames::{Extension, Frame, Ip, Transport, tcp, udp, v4, v4_options, v6},
    read::{Inner, Read, read},
};

/// An error about a datagram of which `kept` bytes come back, between the same two addresses the other way around.
fn error_about(datagram: &[u8], kept: usize, ip: Ip) -> Frame {
    let icmp_type = if matches!(ip, Ip::V4 { .. }) { 3 } else { 1 };
    Frame { payload: datagram[..kept].to_vec(), ..Frame::new(ip, Transport::Icmp(icmp_type, 0)) }
}

/// The plain header of the same family.
fn outer(ip: &Ip) -> Ip {
    if matches!(ip, Ip::V4 { .. }) { v4() } else { v6(&[]) }
}

fn inner_of(bytes: &[u8]) -> Inner {
    let (_, outer, inner) = read(bytes).unwrap().expect("an IP packet");
    assert_eq!(outer.kind, Kind::IcmpError);
    inner.expect("errors are looked into")
}

fn families() -> [(Ip, usize); 4] {
    [(v4(), 20), (v4_options(10), 60), (v6(&[]), 40), (v6(&[Extension::Plain(60, 0), Extension::Auth(3)]), 40 + 8 + 24)]
}

#[test]
fn eight_bytes_of_transport_are_enough() {
    let sctp = Transport::Sctp { sport: 7, dport: 9 };
    for (ip, headers) in families() {
        for transport in [tcp(), udp(), sctp.clone(), Transport::Other(47)] {
            let original = Frame::new(ip.clone(), transport);
            let inner = inner_of(&error_about(&original.datagram(), headers + 8, ip.clone()).bytes()).unwrap();
            let expected = original.expected();
            let l3 = inner.l3;
            assert_eq!(inner, Read { l3, l4: l3 + headers, control: 0, ..expected });
        }
    }
}

#[test]
fn an_echo_is_found_by_its_identifier() {
    for (ip, headers) in families() {
        let icmp_type = if matches!(ip, Ip::V4 { .. }) { 8 } else { 128 };
        let original = Frame::new(ip.clone(), Transport::Icmp(icmp_type, 77));
        let inner = inner_of(&error_about(&original.datagram(), headers + 8, ip).bytes()).unwrap();
        assert_eq!((inner.kind, inner.sport, inner.dport), (Kind::Echo, 77, 0));
    }
}

#[test]
fn less_than_the_ports_is_refused_by_the_outer_length() {
    for (ip, headers) in families() {
        let original = Frame::new(ip.clone(), tcp());
        for kept in headers..headers + 4 {
            let mut frame = error_about(&original.datagram(), kept, ip.clone());
            // What lies behind the datagram is padding, even where it looks like ports.
            frame.padding = 60;
            assert_eq!(inner_of(&frame.bytes()), Err(Malformed::Length), "{kept} bytes");
        }
    }
}

#[test]
fn less_than_the_network_header_is_refused() {
    for (ip, _) in families() {
        // Of a protocol without ports and of a later fragment nothing behind the header is read.
        for original in [
            Frame::new(ip.clone(), tcp()),
            Frame::new(ip.clone(), Transport::Other(47)),
            Frame::new(ip.fragment(1480, true), udp()),
        ] {
            let datagram = original.datagram();
            let headers = original.expected().l4 - original.expected().l3;
            let whole = error_about(&datagram, headers + 8, outer(&original.ip));
            let begin = whole.expected().l4 + 8;
            for kept in 0..headers {
                for padding in [0, 200] {
                    let frame = Frame { padding, ..error_about(&datagram, kept, outer(&original.ip)) };
                    let inner = inner_of(&frame.bytes());
                    assert!(inner.is_err(), "{kept} bytes: {inner:?}");
                }
                // The same by the end of the data, where the datagram goes on.
                assert_eq!(inner_of(&whole.bytes()[..begin + kept]), Err(Malformed::TooShort), "{kept} bytes");
            }
            assert!(inner_of(&whole.bytes()).is_ok());
        }
    }
}

#[test]
fn lengths_and_options_of_the_inner_packet_are_not_judged() {
    let original = Frame::new(v4(), tcp());
    let mut datagram = original.datagram();
    datagram[2..4].copy_from_slice(&[0, 1]);
    datagram[20 + 12] = 0;
    let inner = inner_of(&error_about(&datagram, datagram.len(), v4()).bytes()).unwrap();
    assert_eq!((inner.kind, inner.sport, inner.dport), (Kind::Tcp, 4321, 80));
}

#[test]
fn an_error_about_a_later_fragment_has_no_ports() {
    let original = Frame::new(v4().fragment(1480, true), udp());
    let inner = inner_of(&error_about(&original.datagram(), 28, v4()).bytes()).unwrap();
    assert_eq!((inner.kind, inner.sport, inner.fragment), (Kind::Fragment, 0, original.fragment()));
}

#[test]
fn the_inner_header_must_be_sound() {
    let original = Frame::new(v4(), tcp()).datagram();
    for (byte, expected) in [(0x65, Malformed::Version), (0x44, Malformed::HeaderLength)] {
        let datagram = [&[byte], &original[1..]].concat();
        assert_eq!(inner_of(&error_about(&datagram, 28, v4()).bytes()), Err(expected));
    }
}
