//! The headers, field by field as they lie in the packet.
//!
//! On BPF they are aligned as their integers are: a field of a packed struct is loaded byte by byte there. Packets align
//! their headers less, which the kernel's load instructions do not mind. Everywhere else the structs are packed, so that
//! a reference into any slice is a sound one; fields and size are the same.

use caracal_abi::{Be16, Be32, Ip4, Ip6, Mac};

/// Ethernet II.
#[cfg_attr(target_arch = "bpf", repr(C))]
#[cfg_attr(not(target_arch = "bpf"), repr(C, packed))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ethernet {
    /// Destination.
    pub dst: Mac,
    /// Source.
    pub src: Mac,
    /// `EtherType` of what follows, or the length of an 802.3 frame.
    pub ether_type: Be16,
}

/// An 802.1Q or 802.1ad tag, after the `EtherType` that announces it.
#[cfg_attr(target_arch = "bpf", repr(C))]
#[cfg_attr(not(target_arch = "bpf"), repr(C, packed))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanTag {
    /// Priority, drop eligibility, and in the lower 12 bits the VLAN id.
    pub tci: Be16,
    /// `EtherType` of what follows.
    pub ether_type: Be16,
}

impl VlanTag {
    /// The VLAN id.
    #[inline(always)]
    #[must_use]
    pub const fn id(&self) -> u16 {
        self.tci.get() & 0xfff
    }
}

/// ARP for IPv4 over Ethernet. The addresses lie at odd words, hence the halves.
#[cfg_attr(target_arch = "bpf", repr(C))]
#[cfg_attr(not(target_arch = "bpf"), repr(C, packed))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// Hardware type: 1 for Ethernet.
    pub hardware: Be16,
    /// `EtherType` of the protocol whose addresses are asked for.
    pub protocol: Be16,
    /// Length of a hardware address.
    pub hardware_len: u8,
    /// Length of a protocol address.
    pub protocol_len: u8,
    /// 1 for a request, 2 for a reply.
    pub operation: Be16,
    /// The sender's Ethernet address.
    pub sender_mac: Mac,
    /// The sender's IPv4 address, in halves.
    pub sender: [Be16; 2],
    /// The target's Ethernet address; without meaning in a request.
    pub target_mac: Mac,
    /// The target's IPv4 address, in halves.
    pub target: [Be16; 2],
}

impl Arp {
    /// The sender's IPv4 address; unspecified in a probe for duplicates.
    #[inline(always)]
    #[must_use]
    pub const fn sender_ip(&self) -> Ip4 {
        join(self.sender)
    }

    /// The IPv4 address that is asked for or answered to.
    #[inline(always)]
    #[must_use]
    pub const fn target_ip(&self) -> Ip4 {
        join(self.target)
    }
}

#[inline(always)]
const fn join([high, low]: [Be16; 2]) -> Ip4 {
    Ip4(Be32::new((high.get() as u32) << 16 | low.get() as u32))
}

/// IPv4, without options.
#[cfg_attr(target_arch = "bpf", repr(C))]
#[cfg_attr(not(target_arch = "bpf"), repr(C, packed))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4 {
    /// Version in the upper four bits, header length in words of four bytes in the lower.
    pub version_ihl: u8,
    /// DSCP and ECN.
    pub tos: u8,
    /// Bytes of the datagram, this header included; zero for a GSO packet that is too long for the field.
    pub total_len: Be16,
    /// Which datagram a fragment belongs to.
    pub id: Be16,
    /// Flags in the upper three bits, fragment offset in units of eight bytes in the lower.
    pub flags_offset: Be16,
    /// Time to live, in hops.
    pub ttl: u8,
    /// What follows.
    pub protocol: u8,
    /// Of this header alone.
    pub checksum: Be16,
    /// Source.
    pub src: Ip4,
    /// Destination.
    pub dst: Ip4,
}

impl Ipv4 {
    /// Bytes of this header with its options, as it says.
    #[inline(always)]
    #[must_use]
    pub const fn header_len(&self) -> usize {
        (self.version_ihl & 0xf) as usize * 4
    }
}

/// IPv6, without extension headers.
#[cfg_attr(target_arch = "bpf", repr(C))]
#[cfg_attr(not(target_arch = "bpf"), repr(C, packed))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6 {
    /// Version in the upper four bits, then traffic class and flow label.
    pub version_class_flow: Be32,
    /// Bytes after this header; zero for a jumbogram and for a GSO packet that is too long for the field.
    pub payload_len: Be16,
    /// What follows.
    pub next_header: u8,
    /// Time to live, in hops.
    pub hop_limit: u8,
    /// Source.
    pub src: Ip6,
    /// Destination.
    pub dst: Ip6,
}

/// What the IPv6 extension headers have in common, and the authentication header with them.
#[cfg_attr(target_arch = "bpf", repr(C))]
#[cfg_attr(not(target_arch = "bpf"), repr(C, packed))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Extension {
    /// What follows.
    pub next_header: u8,
    /// Length: in units of eight bytes beyond the first eight; in the authentication header of four, less two.
    pub len: u8,
}

/// The IPv6 fragment header.
#[cfg_attr(target_arch = "bpf", repr(C))]
#[cfg_attr(not(target_arch = "bpf"), repr(C, packed))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Fragment {
    /// What follows, in the first fragment.
    pub next_header: u8,
    /// Not used.
    pub reserved: u8,
    /// Fragment offset in bytes; the lowest bit says that there are more.
    pub offset_flags: Be16,
    /// Which datagram the fragment belongs to.
    pub id: Be32,
}

/// What TCP, UDP and SCTP begin with.
#[cfg_attr(target_arch = "bpf", repr(C))]
#[cfg_attr(not(target_arch = "bpf"), repr(C, packed))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Source port.
    pub src: Be16,
    /// Destination port.
    pub dst: Be16,
}

/// TCP, without options.
#[cfg_attr(target_arch = "bpf", repr(C))]
#[cfg_attr(not(target_arch = "bpf"), repr(C, packed))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// Ports.
    pub ports: Ports,
    /// Sequence number.
    pub sequence: Be32,
    /// Acknowledgement number.
    pub acknowledgement: Be32,
    /// Header length in words of four bytes, in the upper four bits.
    pub data_offset: u8,
    /// FIN is the lowest bit, then SYN, RST, PSH, ACK, URG, ECE, CWR.
    pub flags: u8,
    /// Receive window.
    pub window: Be16,
    /// Of the segment and the pseudo header.
    pub checksum: Be16,
    /// Urgent pointer.
    pub urgent: Be16,
}

impl Tcp {
    /// Bytes of this header with its options, as it says.
    #[inline(always)]
    #[must_use]
    pub const fn header_len(&self) -> usize {
        (self.data_offset >> 4) as usize * 4
    }
}

/// UDP.
#[cfg_attr(target_arch = "bpf", repr(C))]
#[cfg_attr(not(target_arch = "bpf"), repr(C, packed))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udp {
    /// Ports.
    pub ports: Ports,
    /// Bytes of header and payload; zero where the field is too small for them.
    pub len: Be16,
    /// Of the datagram and the pseudo header; zero over IPv4 if there is none.
    pub checksum: Be16,
}

/// SCTP's common header.
#[cfg_attr(target_arch = "bpf", repr(C))]
#[cfg_attr(not(target_arch = "bpf"), repr(C, packed))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sctp {
    /// Ports.
    pub ports: Ports,
    /// Verification tag.
    pub tag: Be32,
    /// Of the packet, a CRC.
    pub checksum: Be32,
}

/// What every chunk of an SCTP packet begins with.
#[cfg_attr(target_arch = "bpf", repr(C))]
#[cfg_attr(not(target_arch = "bpf"), repr(C, packed))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SctpChunk {
    /// Type of the chunk.
    pub chunk_type: u8,
    /// By type.
    pub flags: u8,
    /// Bytes of the chunk, this header included.
    pub len: Be16,
}

/// ICMP and `ICMPv6`, as far as all their messages agree, with the fields of an echo.
#[cfg_attr(target_arch = "bpf", repr(C))]
#[cfg_attr(not(target_arch = "bpf"), repr(C, packed))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// Type of the message.
    pub icmp_type: u8,
    /// Which one of the type.
    pub code: u8,
    /// Of the message, for `ICMPv6` with the pseudo header.
    pub checksum: Be16,
    /// Identifier of an echo.
    pub id: Be16,
    /// Sequence number of an echo.
    pub sequence: Be16,
}

/// No header: to ask whether the packet reaches up to an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(target_arch = "bpf", repr(C))]
#[cfg_attr(not(target_arch = "bpf"), repr(C, packed))]
pub struct Nothing {}
