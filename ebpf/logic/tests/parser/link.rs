//! Ethernet, VLAN tags, ARP.

use std::net::Ipv4Addr;

use caracal_logic::{Malformed, arp, link};

use crate::{
    frames::{DST_MAC, Frame, SRC_MAC, udp, v4},
    read::read,
};

fn tagged(tags: &[(u16, u16)]) -> Vec<u8> {
    Frame { tags: tags.to_vec(), ..Frame::new(v4(), udp()) }.bytes()
}

#[test]
fn tags_are_stepped_over_up_to_two() {
    // Tags, and what the parser says: EtherType behind them, id of the outermost, offset of the network header.
    for (tags, ether_type, vlan, l3) in [
        (&[][..], 0x0800, None, 14),
        (&[(0x8100, 5)], 0x0800, Some(5), 18),
        (&[(0x88a8, 4095)], 0x0800, Some(4095), 18),
        (&[(0x8100, 0)], 0x0800, Some(0), 18),
        (&[(0x88a8, 7), (0x8100, 5)], 0x0800, Some(7), 22),
        (&[(0x8100, 7), (0x8100, 5), (0x8100, 3)], 0x8100, Some(7), 22),
        (&[(0x9100, 7)], 0x9100, None, 14),
    ] {
        let link = link(&*tagged(tags)).unwrap();
        assert_eq!((link.ether_type.get(), link.vlan, link.l3), (ether_type, vlan, l3), "{tags:x?}");
        assert_eq!((link.src.0, link.dst.0), (SRC_MAC, DST_MAC));
    }
}

#[test]
fn priority_bits_are_not_part_of_the_id() {
    let mut frame = tagged(&[(0x8100, 5)]);
    frame[14] |= 0xf0;
    assert_eq!(link(&*frame).unwrap().vlan, Some(5));
}

#[test]
fn a_cut_link_header_is_too_short() {
    let frame = tagged(&[(0x88a8, 7), (0x8100, 5)]);
    for len in 0..22 {
        assert_eq!(link(&frame[..len]), Err(Malformed::TooShort), "{len} bytes");
    }
    assert!(link(&frame[..22]).is_ok());
}

#[test]
fn frames_without_ip_are_left_alone() {
    let mut frame = tagged(&[]);
    // A length instead of an EtherType: 802.3.
    frame[12..14].copy_from_slice(&100_u16.to_be_bytes());
    assert_eq!(read(&frame), Ok(None));
}

const ARP_REPLY: [u8; 28] = [
    0, 1, 8, 0, 6, 4, 0, 2, // Ethernet, IPv4, reply
    2, 0, 0, 0, 0, 1, 10, 0, 0, 1, // sender
    2, 0, 0, 0, 0, 2, 10, 0, 0, 2, // target
];

#[test]
fn arp_addresses() {
    let arp = arp(&ARP_REPLY[..], 0).unwrap();
    assert_eq!({ arp.operation }.get(), 2);
    assert_eq!(Ipv4Addr::from(arp.sender_ip()), Ipv4Addr::new(10, 0, 0, 1));
    assert_eq!(Ipv4Addr::from(arp.target_ip()), Ipv4Addr::new(10, 0, 0, 2));
    assert_eq!(({ arp.sender_mac }.0, { arp.target_mac }.0), (SRC_MAC, DST_MAC));
}

#[test]
fn arp_for_other_networks_is_refused() {
    for (offset, value, expected) in [
        (1, 6, Ok(())), // IEEE 802, which the kernel takes as well
        (1, 2, Err(Malformed::ArpFormat)),
        (0, 1, Err(Malformed::ArpFormat)),
        (2, 9, Err(Malformed::ArpFormat)),
        (4, 8, Err(Malformed::ArpFormat)),
        (5, 16, Err(Malformed::ArpFormat)),
    ] {
        let mut bytes = ARP_REPLY;
        bytes[offset] = value;
        assert_eq!(arp(&bytes[..], 0).map(|_| ()), expected, "byte {offset} is {value}");
    }
    for len in 0..28 {
        assert_eq!(arp(&ARP_REPLY[..len], 0), Err(Malformed::TooShort), "{len} bytes");
    }
}
