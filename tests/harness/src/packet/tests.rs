//! Wrong checksums are found, and edits leave right ones.

use std::net::IpAddr;

use super::{Edit, Packet, differences, verify};
use crate::{Frame, Pod, Problem, Quote, shape, tcp};

fn cast() -> [(Frame, IpAddr); 2] {
    [("10.0.0.1", "10.0.0.2", "192.0.2.1"), ("fd00::1", "fd00::2", "2001:db8::1")]
        .map(|(from, to, node)| (Frame::new(&Pod::new(from, 1, 11), to.parse().unwrap()), node.parse().unwrap()))
}

fn all(frame: Frame) -> Vec<Vec<u8>> {
    let udp = frame.udp(4000, 53, b"question");
    vec![
        frame.tcp(4000, 80, tcp::ACK, b"data"),
        frame.sctp(4000, 80, b"chunk"),
        frame.echo_request(7, 1, b"ping"),
        Frame { ip: (frame.ip.1, frame.ip.0), ..frame }.error(Problem::PortUnreachable, &udp, Quote::Allowed),
        udp,
    ]
}

#[test]
fn any_byte_that_a_checksum_covers_is_missed_if_it_changes() {
    for (frame, _) in cast() {
        for right in all(frame) {
            verify(&right).unwrap();
            let l4 = Packet::from_ethernet(&right).unwrap().l4;
            for at in l4..right.len() {
                let mut wrong = right.clone();
                wrong[at] ^= 0x55;
                assert!(verify(&wrong).is_err(), "byte {at} of {}", Packet::from_ethernet(&right).unwrap());
            }
            if frame.ip.0.is_ipv4() {
                for at in [15, 18, 22, 24, 26, 33] {
                    let mut wrong = right.clone();
                    wrong[at] ^= 0x55;
                    assert!(verify(&wrong).is_err(), "byte {at}");
                }
            }
        }
    }
}

#[test]
fn a_wrong_checksum_in_what_an_error_quotes_is_told() {
    for (frame, _) in cast() {
        let mut about = frame.udp(4000, 53, b"question");
        *about.last_mut().unwrap() ^= 1;
        let back = Frame { ip: (frame.ip.1, frame.ip.0), ..frame };
        let error = verify(&back.error(Problem::PortUnreachable, &about, Quote::Allowed)).unwrap_err();
        assert!(error.contains("it quotes UDP") && error.contains("wrong UDP checksum"), "{error}");
        verify(&back.error(Problem::PortUnreachable, &about, Quote::Eight)).expect("the payload is not there to see");
    }
}

#[test]
fn edits_leave_right_checksums_and_a_second_undoes_the_first() {
    for (frame, node) in cast() {
        for original in all(frame) {
            let (src, dst) = Packet::from_ethernet(&original).unwrap().ip();
            let edit = |edit: Edit, a: IpAddr, b: IpAddr| edit.src(a).dst(b);
            let edited = edit(Edit::of(&original), node, src).ttl(9).into_bytes();
            verify(&edited).unwrap();
            let again = edit(Edit::of(&edited), src, dst).ttl(64).into_bytes();
            assert_eq!(differences(&again, &original), None);
        }
        let udp = frame.udp(4000, 53, b"question");
        assert_eq!(Edit::of(&udp).sport(4001).into_bytes(), frame.udp(4001, 53, b"question"));
        assert_eq!(Edit::of(&udp).src(node).into_bytes(), frame.source(node).udp(4000, 53, b"question"));
        let tcp = Edit::of(&frame.syn(1, 2)).dport(80).answered().into_bytes();
        let back = Frame { ip: (frame.ip.1, frame.ip.0), mac: (frame.mac.1, frame.mac.0), ..frame };
        let segment = Packet::from_ethernet(&tcp).unwrap();
        assert_eq!(
            (segment.ip(), segment.ports(), segment.tcp_flags()),
            (back.ip, Some((80, 1)), Some(tcp::SYN | tcp::ACK))
        );
        verify(&tcp).unwrap();
        let answer = Edit::of(&frame.echo_request(7, 1, b"ping")).answered().into_bytes();
        assert_eq!(answer, back.echo_reply(7, 1, b"ping"));
    }
}

#[test]
fn what_an_error_quotes_is_translated_however_short_the_quote_is() {
    for (frame, node) in cast() {
        let back = Frame { ip: (frame.ip.1, frame.ip.0), ..frame };
        let [inside, outside] = [frame, frame.source(node)].map(|frame| frame.tcp(4000, 80, tcp::ACK, &[7; 100]));
        for quote in [Quote::Eight, Quote::Bytes(20), Quote::Allowed] {
            let edited = Edit::of(&back.error(Problem::TimeExceeded, &inside, quote)).quoted(|inner| inner.src(node));
            let edited = edited.into_bytes();
            assert_eq!(differences(&edited, &back.error(Problem::TimeExceeded, &outside, quote)), None, "{quote:?}");
        }
    }
}

#[test]
fn a_fragment_is_edited_without_what_is_not_in_it() {
    for (frame, node) in cast() {
        let [inside, outside] = [frame, frame.source(node)].map(|frame| frame.udp(4000, 53, &[7; 200]));
        let [inside, outside] = [inside, outside].map(|packet| shape::fragments(&packet, 9, &[64, 64]));
        for (fragment, expected) in inside.iter().zip(&outside) {
            assert_eq!(differences(&Edit::of(fragment).src(node).into_bytes(), expected), None);
        }
    }
}

#[test]
fn packets_are_told_in_words() {
    let [(v4, _), (v6, _)] = cast();
    let says = |frame: Vec<u8>| Packet::from_ethernet(&frame).unwrap().to_string();
    assert_eq!(says(v4.syn(1, 80)), "TCP 10.0.0.1:1 > 10.0.0.2:80 ttl 64 [SYN], 0 bytes");
    let back = Frame { ip: (v6.ip.1, v6.ip.0), ..v6 };
    assert_eq!(
        says(back.error(Problem::TooBig { mtu: 1400 }, &v6.udp(1, 2, b"x"), Quote::Allowed)),
        "ICMPv6 fd00::2 > fd00::1 ttl 64 type 2 code 0 mtu 1400 about (UDP [fd00::1]:1 > [fd00::2]:2 ttl 64, 1 bytes)"
    );
    let text = differences(&v4.syn(1, 80), &v4.ttl(63).syn(1, 80)).unwrap();
    assert!(
        text.contains("ttl 64") && text.contains("ttl 63") && text.contains("byte 22 (IP 8): 40, expected 3f"),
        "{text}"
    );
}
