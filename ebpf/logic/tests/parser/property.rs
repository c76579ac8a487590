//! Random packets: built, changed and cut.

use std::net::{Ipv4Addr, Ipv6Addr};

use caracal_logic::{Fragment, Malformed};
use proptest::{
    collection::vec,
    prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest},
    sample::Index,
    strategy::BoxedStrategy,
};

use crate::{
    frames::{Extension, Frame, Ip, Transport},
    oracle,
    read::read,
};

fn transports() -> impl Strategy<Value = Transport> {
    prop_oneof![
        (any::<u16>(), any::<u16>(), any::<u8>(), vec(Just([1; 4]), 0..=10))
            .prop_map(|(sport, dport, flags, options)| Transport::Tcp { sport, dport, flags, options }),
        (any::<u16>(), any::<u16>()).prop_map(|(sport, dport)| Transport::Udp { sport, dport }),
        (any::<u16>(), any::<u16>()).prop_map(|(sport, dport)| Transport::Sctp { sport, dport }),
        (any::<u8>(), any::<u16>()).prop_map(|(icmp_type, id)| Transport::Icmp(icmp_type, id)),
        // Neither known nor an extension header of IPv6: IP in IP, GRE, ESP, none, OSPF, UDP-Lite.
        prop_oneof![Just(4), Just(47), Just(50), Just(59), Just(89), Just(136)].prop_map(Transport::Other),
    ]
}

/// Never inside a transport header: those are refused.
fn fragments() -> impl Strategy<Value = Fragment> {
    let offset = prop_oneof![4 => Just(0), 1 => (3..8000_u16).prop_map(|units| units * 8)];
    (any::<u16>(), offset, any::<bool>()).prop_map(|(id, offset, more)| Fragment { id: u32::from(id), offset, more })
}

fn v4() -> impl Strategy<Value = Ip> {
    (any::<Ipv4Addr>(), any::<Ipv4Addr>(), vec(Just([1; 4]), 0..=10), fragments())
        .prop_map(|(src, dst, options, fragment)| Ip::V4 { src, dst, options, fragment })
}

fn extensions() -> impl Strategy<Value = Vec<Extension>> {
    let number = prop_oneof![Just(0), Just(43), Just(60), Just(135), Just(139), Just(140)];
    let plain = (number, prop_oneof![0..4_u8, Just(255)]).prop_map(|(number, len)| Extension::Plain(number, len));
    let one = prop_oneof![4 => plain, 1 => (0..8_u8).prop_map(Extension::Auth)];
    // A fragment header anywhere, except that nothing is behind it in a later fragment.
    (vec(one, 0..=7), proptest::option::of((fragments(), any::<Index>()))).prop_map(|(mut chain, fragment)| {
        if let Some((fragment, at)) = fragment {
            if fragment.offset == 0 {
                chain.insert(at.index(chain.len() + 1), Extension::Fragment(fragment));
            } else {
                chain.push(Extension::Fragment(fragment));
            }
        }
        chain
    })
}

fn v6() -> impl Strategy<Value = Ip> {
    (any::<Ipv6Addr>(), any::<Ipv6Addr>(), prop_oneof![Just(Vec::new()), extensions()])
        .prop_map(|(src, dst, extensions)| Ip::V6 { src, dst, extensions })
}

fn frames() -> BoxedStrategy<Frame> {
    let tag = (prop_oneof![Just(0x8100), Just(0x88a8)], 0..4096_u16);
    (vec(tag, 0..=2), prop_oneof![v4(), v6()], any::<u8>(), transports(), vec(any::<u8>(), 0..100), 0..40_usize)
        .prop_map(|(tags, ip, ttl, transport, payload, padding)| Frame { tags, ip, ttl, transport, payload, padding })
        .boxed()
}

/// What the parser accepts, etherparse reads alike.
fn accepted_means_agreed(bytes: &[u8]) {
    if let Ok(Some((link, packet, inner))) = read(bytes) {
        oracle::agrees(bytes, &link, &packet);
        assert!(packet.l4 <= bytes.len());
        if let Some(Ok(inner)) = inner {
            assert!(inner.l3 == packet.l4 + 8 && inner.l4 <= bytes.len());
        }
    }
}

fn cases(full: u32) -> ProptestConfig {
    // Miri is some thousand times slower, and has no files to remember failures in.
    ProptestConfig { cases: if cfg!(miri) { 4 } else { full }, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(10_000))]

    #[test]
    fn built_packets_are_read_as_built(frame in frames()) {
        let bytes = frame.bytes();
        let (link, packet, _) = read(&bytes).unwrap().expect("an IP packet");
        assert_eq!(packet, frame.expected());
        assert_eq!(link.vlan, frame.tags.first().map(|tag| tag.1));
        oracle::agrees(&bytes, &link, &packet);
    }

    #[test]
    fn what_is_accepted_of_changed_packets_is_read_alike(
        frame in frames(),
        changes in vec((any::<Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = frame.bytes();
        // Mostly in the headers, where it matters.
        let reach = bytes.len().min(100);
        for (at, value) in changes {
            bytes[at.index(reach)] = value;
        }
        accepted_means_agreed(&bytes);
    }

    #[test]
    fn what_is_accepted_of_random_bytes_is_read_alike(
        version in prop_oneof![Just([8, 0, 0x45]), Just([0x86, 0xdd, 0x60])],
        rest in vec(any::<u8>(), 0..200),
    ) {
        accepted_means_agreed(&[&[2; 12][..], &version, &rest].concat());
        accepted_means_agreed(&rest);
    }
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn a_cut_packet_is_too_short_or_read_as_the_whole(frame in frames()) {
        let bytes = frame.bytes();
        let whole = read(&bytes).unwrap().map(|(_, packet, _)| packet);
        for len in 0..bytes.len().min(400) {
            match read(&bytes[..len]) {
                Ok(cut) => {
                    let cut = cut.map(|(_, packet, _)| packet);
                    assert_eq!(cut, whole, "{len} bytes");
                    assert!(cut.is_some_and(|packet| packet.l4 <= len), "{len} bytes");
                }
                Err(malformed) => assert_eq!(malformed, Malformed::TooShort, "{len} bytes"),
            }
        }
    }
}
