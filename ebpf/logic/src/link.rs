//! Ethernet, VLAN tags and ARP.

use caracal_abi::{Be16, Mac};

use crate::{
    Bytes, Family, Malformed, V4,
    headers::{Arp, Ethernet, VlanTag},
    wire::read,
};

const DOT1Q: u16 = 0x8100;
const DOT1AD: u16 = 0x88a8;

/// What the frame says before the network header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Ethernet source.
    pub src: Mac,
    /// Ethernet destination.
    pub dst: Mac,
    /// What follows the tags. A third tag is not looked into: its `EtherType` is given here.
    pub ether_type: Be16,
    /// VLAN id of the outermost tag in the packet data; zero for a tag that only carries a priority.
    pub vlan: Option<u16>,
    /// Where the network header begins.
    pub l3: usize,
}

/// Reads the Ethernet header and up to two VLAN tags (802.1Q, 802.1ad).
#[inline(always)]
pub fn link<B: Bytes + ?Sized>(bytes: &B) -> Result<Link, Malformed> {
    let ethernet = read!(Ethernet, bytes, 0);
    let mut link = Link {
        src: ethernet.src,
        dst: ethernet.dst,
        ether_type: ethernet.ether_type,
        vlan: None,
        l3: size_of::<Ethernet>(),
    };
    for _ in 0..2 {
        if !matches!(link.ether_type.get(), DOT1Q | DOT1AD) {
            break;
        }
        let tag = read!(VlanTag, bytes, link.l3);
        link.vlan = link.vlan.or(Some(tag.id()));
        link.ether_type = tag.ether_type;
        link.l3 += size_of::<VlanTag>();
    }
    Ok(link)
}

/// Reads ARP for IPv4 over Ethernet.
#[inline(always)]
pub fn arp<B: Bytes + ?Sized>(bytes: &B, l3: usize) -> Result<Arp, Malformed> {
    let arp = read!(Arp, bytes, l3);
    // 6 is the number for 802 networks, which the kernel takes for Ethernet as well.
    let ethernet = matches!(arp.hardware.get(), 1 | 6) && arp.hardware_len == 6;
    let ipv4 = arp.protocol.get() == V4::ETHER_TYPE && arp.protocol_len == 4;
    if ethernet && ipv4 { Ok(*arp) } else { Err(Malformed::ArpFormat) }
}
