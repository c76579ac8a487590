//! The IP header, of either family.

mod v4;
mod v6;

use caracal_abi::Address;
pub use v4::V4;
pub use v6::{MAX_EXTENSIONS, V6};

use crate::{Bytes, Kind, Malformed};

/// An address family: everything the parser has to know twice.
pub trait Family {
    /// Its addresses.
    type Addr: Address;
    /// The `EtherType` that announces it.
    const ETHER_TYPE: u16;
    /// Type of the ICMP message that asks for an echo.
    const ECHO_REQUEST: u8;
    /// Protocol number of its ICMP. The other family's is not ICMP here, as it is not to the kernel.
    const ICMP: u8;

    /// Reads the header at `l3`, with options and extension headers. Lengths are not judged yet.
    fn network<B: Bytes + ?Sized>(bytes: &B, l3: usize) -> Result<Network<Self::Addr>, Malformed>;

    /// What an ICMP message of this type is.
    #[must_use]
    fn icmp_kind(icmp_type: u8) -> Kind;
}

/// What an IP header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network<A> {
    /// Source.
    pub src: A,
    /// Destination.
    pub dst: A,
    /// What follows at `l4`. In a later fragment of IPv6 that can be the number of an extension header.
    pub protocol: u8,
    /// Hops that are left.
    pub ttl: u8,
    /// Bytes of the datagram, headers included; zero where the header leaves it to the packet's own length.
    pub l3_len: u32,
    /// Where the transport header begins; in a later fragment, where its data does.
    pub l4: usize,
    /// Which part of its datagram this is.
    pub fragment: Fragment,
}

/// The part of a datagram that a packet carries. All zero for a datagram in one piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fragment {
    /// Which datagram, among those of the same addresses (and, for IPv4, protocol). IPv4 has one in whole datagrams too.
    pub id: u32,
    /// Where in the datagram's payload, in bytes.
    pub offset: u16,
    /// Whether parts follow.
    pub more: bool,
}

impl Fragment {
    /// Whether there is more of the datagram than this.
    #[inline(always)]
    #[must_use]
    pub const fn is_part(&self) -> bool {
        self.more || self.offset != 0
    }
}
