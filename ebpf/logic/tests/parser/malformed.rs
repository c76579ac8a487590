//! Every way to be malformed, one row each.

use caracal_logic::{Fragment, Malformed, V4, V6, parse};

use crate::{
    frames::{Extension, Frame, Ip, Transport, tcp, udp, v4, v4_options, v6},
    read::read,
};

const L3: usize = 14;

fn sctp() -> Transport {
    Transport::Sctp { sport: 1, dport: 2 }
}

/// A built frame with some bytes overwritten.
fn patched(ip: Ip, transport: Transport, patches: &[(usize, u8)]) -> Vec<u8> {
    let mut bytes = Frame::new(ip, transport).bytes();
    for (offset, value) in patches {
        bytes[*offset] = *value;
    }
    bytes
}

#[track_caller]
fn refused(bytes: &[u8], expected: Malformed) {
    assert_eq!(read(bytes).map(|_| ()), Err(expected));
}

#[test]
fn wrong_version() {
    for version in [0, 5, 6, 15] {
        refused(&patched(v4(), tcp(), &[(L3, version << 4 | 5)]), Malformed::Version);
    }
    for version in [0, 4, 7, 15] {
        refused(&patched(v6(&[]), tcp(), &[(L3, version << 4)]), Malformed::Version);
    }
}

#[test]
fn ipv4_header_shorter_than_its_fixed_part() {
    for ihl in 0..5 {
        refused(&patched(v4(), tcp(), &[(L3, 0x40 | ihl)]), Malformed::HeaderLength);
    }
}

#[test]
fn length_that_leaves_no_room_for_the_headers() {
    // Datagram length, up to which it is refused, and the transport.
    for (transport, fixed) in
        [(tcp(), 20), (udp(), 8), (sctp(), 12), (Transport::Icmp(8, 1), 8), (Transport::Other(47), 0)]
    {
        for len in 1..20 + fixed {
            refused(&patched(v4(), transport.clone(), &[(L3 + 2, 0), (L3 + 3, len)]), Malformed::Length);
        }
        assert!(read(&patched(v4(), transport.clone(), &[(L3 + 2, 0), (L3 + 3, 20 + fixed)])).is_ok());
        for len in 1..fixed {
            refused(&patched(v6(&[]), transport.clone(), &[(L3 + 4, 0), (L3 + 5, len)]), Malformed::Length);
        }
    }
    // The extension header alone is as long as the datagram says, or longer.
    for len in 1..16 + 8 {
        refused(&patched(v6(&[Extension::Plain(60, 1)]), udp(), &[(L3 + 4, 0), (L3 + 5, len)]), Malformed::Length);
    }
    // IPv4 options, likewise.
    refused(&patched(v4(), udp(), &[(L3, 0x4f)]), Malformed::Length);
}

#[test]
fn options_and_extensions_must_be_there_even_if_nothing_behind_them_is_read() {
    for ip in [v4_options(10), v6(&[Extension::Plain(60, 4)])] {
        for ip in [ip.clone(), ip.fragment(1480, false)] {
            let frame = Frame::new(ip, Transport::Other(47));
            let l4 = frame.expected().l4;
            for len in L3..l4 {
                refused(&frame.bytes()[..len], Malformed::TooShort);
            }
            assert!(read(&frame.bytes()[..l4]).is_ok());
        }
    }
}

#[test]
fn a_header_in_the_padding_is_not_read() {
    let frame = Frame { payload: Vec::new(), ..Frame::new(v4(), Transport::Other(17)) };
    let mut bytes = frame.bytes();
    bytes.extend([0x15, 0xb3, 0, 53, 0, 8, 0, 0]);
    refused(&bytes, Malformed::Length);
}

#[test]
fn more_than_eight_extension_headers() {
    let chain = |n: usize| Frame::new(v6(&vec![Extension::Plain(60, 0); n]), tcp()).bytes();
    assert!(read(&chain(8)).is_ok());
    refused(&chain(9), Malformed::TooManyExtensions);
    let mut mixed = vec![Extension::Plain(0, 0), Extension::Plain(43, 2), Extension::Auth(3)];
    mixed.extend(vec![Extension::Plain(60, 0); 5]);
    mixed.push(Extension::Fragment(Fragment { id: 1, offset: 0, more: true }));
    refused(&Frame::new(v6(&mixed), udp()).bytes(), Malformed::TooManyExtensions);
}

#[test]
fn extension_headers_beyond_every_linear_data() {
    // 0x7fff bytes are the limit for where a header begins; eight of them only get there from far behind.
    let chain = vec![Extension::Plain(60, 255); 8];
    let datagram = Frame::new(v6(&chain), udp()).datagram();
    for (l3, expected) in
        [(0x7fff - 40 - 8 * 2048, Ok(())), (0x8000 - 40 - 8 * 2048, Err(Malformed::TooManyExtensions))]
    {
        let bytes = [vec![0; l3], datagram.clone()].concat();
        assert_eq!(parse::<V6, _>(&*bytes, l3).map(|_| ()), expected, "at {l3}");
    }
}

#[test]
fn two_fragment_headers() {
    let whole = Extension::Fragment(Fragment { id: 1, offset: 0, more: false });
    let first = Extension::Fragment(Fragment { id: 2, offset: 0, more: true });
    for chain in [[whole, whole], [first, whole], [whole, first]] {
        refused(&Frame::new(v6(&chain), udp()).bytes(), Malformed::NestedFragment);
    }
}

#[test]
fn transport_header_split_over_fragments() {
    for ip in [v4().fragment(0, true), v6(&[]).fragment(0, true)] {
        // Eight bytes of TCP: ports, but neither flags nor options.
        let tiny = Frame { payload: vec![0; 8], ..Frame::new(ip.clone(), Transport::Other(6)) };
        refused(&tiny.bytes(), Malformed::SplitHeader);
        let options = Transport::Tcp { sport: 1, dport: 2, flags: 2, options: vec![[1; 4]; 2] };
        let cut_in_options = Frame { payload: Vec::new(), ..Frame::new(ip, options) };
        assert!(read(&cut_in_options.bytes()).is_ok());
    }
    for (transport, header) in [(tcp(), 20), (sctp(), 12), (udp(), 8), (Transport::Other(47), 0)] {
        for offset in [8, 16, 24] {
            for ip in [v4().fragment(offset, true), v6(&[]).fragment(offset, false)] {
                let bytes = Frame::new(ip, transport.clone()).bytes();
                let expected = if offset < header { Err(Malformed::SplitHeader) } else { Ok(()) };
                assert_eq!(read(&bytes).map(|_| ()), expected, "{transport:?} at {offset}");
            }
        }
    }
}

#[test]
fn tcp_options_cut_off_by_a_fragment() {
    // Header length 40 in a first fragment that holds 37 bytes of it.
    let bytes = patched(v4().fragment(0, true), tcp(), &[(L3 + 20 + 12, 10 << 4)]);
    refused(&bytes, Malformed::SplitHeader);
    let bytes = patched(v4(), tcp(), &[(L3 + 20 + 12, 10 << 4)]);
    refused(&bytes, Malformed::Length);
}

#[test]
fn fragment_beyond_the_longest_datagram() {
    for (offset, len, expected) in [
        (65528, 7, Ok(())),
        (65528, 8, Err(Malformed::FragmentTooLong)),
        (65504, 31, Ok(())),
        (65504, 32, Err(Malformed::FragmentTooLong)),
    ] {
        for ip in [v4().fragment(offset, false), v6(&[]).fragment(offset, false)] {
            let frame = Frame { payload: vec![0; len], ..Frame::new(ip, udp()) };
            assert_eq!(read(&frame.bytes()).map(|_| ()), expected, "{len} bytes at {offset}");
        }
    }
}

#[test]
fn fragments_of_unknown_or_too_small_length() {
    for (offset, more) in [(0, true), (1480, true), (1480, false)] {
        refused(&patched(v4().fragment(offset, more), udp(), &[(L3 + 2, 0), (L3 + 3, 0)]), Malformed::Length);
        refused(&patched(v6(&[]).fragment(offset, more), udp(), &[(L3 + 4, 0), (L3 + 5, 0)]), Malformed::Length);
    }
    for more in [false, true] {
        refused(&patched(v4().fragment(1480, more), udp(), &[(L3 + 2, 0), (L3 + 3, 19)]), Malformed::Length);
        refused(&patched(v6(&[]).fragment(1480, more), udp(), &[(L3 + 4, 0), (L3 + 5, 7)]), Malformed::Length);
    }
}

#[test]
fn tcp_header_shorter_than_its_fixed_part() {
    for words in 0..5 {
        refused(&patched(v4(), tcp(), &[(L3 + 20 + 12, words << 4)]), Malformed::TcpDataOffset);
        refused(&patched(v6(&[]), tcp(), &[(L3 + 40 + 12, words << 4)]), Malformed::TcpDataOffset);
    }
}

#[test]
fn udp_shorter_than_its_header() {
    for len in 1..8 {
        refused(&patched(v4(), udp(), &[(L3 + 20 + 4, 0), (L3 + 20 + 5, len)]), Malformed::UdpLength);
        refused(&patched(v6(&[]), udp(), &[(L3 + 40 + 4, 0), (L3 + 40 + 5, len)]), Malformed::UdpLength);
    }
}

#[test]
fn no_offset_panics() {
    let bytes = Frame::new(v4(), tcp()).bytes();
    for l3 in [bytes.len(), usize::MAX - 20, usize::MAX] {
        assert_eq!(parse::<V4, _>(&*bytes, l3), Err(Malformed::TooShort));
        assert_eq!(parse::<V6, _>(&*bytes, l3), Err(Malformed::TooShort));
    }
}
