//! Any bytes as a frame: the parser must not panic, not contradict itself, and not disagree with etherparse.

#![no_main]

use caracal_logic::{Kind, V4, V6, arp, parse};
use libfuzzer_sys::fuzz_target;

#[path = "../../../ebpf/logic/tests/parser/oracle.rs"]
mod oracle;
#[path = "../../../ebpf/logic/tests/parser/read.rs"]
mod read;

use read::{Read, read};

fuzz_target!(|frame: &[u8]| {
    if let Ok(Some((link, packet, inner))) = read(frame) {
        is_consistent(frame, &packet);
        oracle::agrees(frame, &link, &packet);
        if let Some(Ok(inner)) = inner {
            assert_eq!(inner.l3, packet.l4 + 8);
            is_consistent(frame, &inner);
        }
    }
    // Without a link header in the way.
    if let Ok(packet) = parse::<V4, _>(frame, 0) {
        is_consistent(frame, &packet.into());
    }
    if let Ok(packet) = parse::<V6, _>(frame, 0) {
        is_consistent(frame, &packet.into());
    }
    let _ = arp(frame, 0);
});

fn is_consistent(frame: &[u8], packet: &Read) {
    let header = match packet.kind {
        // The first bytes of TCP and SCTP are enough in an ICMP error.
        Kind::Tcp | Kind::Udp | Kind::Sctp => 4,
        Kind::Echo | Kind::IcmpError | Kind::Neighbour | Kind::Icmp => 8,
        Kind::Other | Kind::Fragment => 0,
    };
    let network = if packet.src.is_ipv4() { 20 } else { 40 };
    assert!(packet.l3 + network <= packet.l4, "{packet:?}");
    assert!(packet.l4 + header <= frame.len(), "{packet:?}");

    let icmp = if packet.src.is_ipv4() { 1 } else { 58 };
    let expected = match packet.kind {
        Kind::Tcp => packet.protocol == 6,
        Kind::Udp => packet.protocol == 17,
        Kind::Sctp => packet.protocol == 132,
        Kind::Echo | Kind::IcmpError | Kind::Icmp => packet.protocol == icmp,
        Kind::Neighbour => packet.protocol == icmp && packet.src.is_ipv6(),
        Kind::Other => ![6, 17, 132, icmp].contains(&packet.protocol),
        Kind::Fragment => true,
    };
    assert!(expected, "{packet:?}");
    assert_eq!(packet.kind == Kind::Fragment, packet.fragment.offset != 0, "{packet:?}");
    let has_ports = matches!(packet.kind, Kind::Tcp | Kind::Udp | Kind::Sctp | Kind::Echo);
    assert!(has_ports || (packet.sport, packet.dport) == (0, 0), "{packet:?}");
    assert!(packet.kind != Kind::Echo || packet.sport == 0 || packet.dport == 0, "{packet:?}");
    assert!(matches!(packet.kind, Kind::Tcp | Kind::Sctp) || packet.control == 0, "{packet:?}");
}
