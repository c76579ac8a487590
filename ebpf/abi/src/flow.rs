//! A flow: what was decided about its first packet, to be repeated for the others.

use crate::{Address, Be16, Mac};

/// Key of `FLOWS4` and `FLOWS6`: the exact 5-tuple as the hook sees it. ICMP echo has its identifier as both ports,
/// protocols without ports have zero.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FlowKey<A> {
    /// Source address.
    pub src: A,
    /// Destination address.
    pub dst: A,
    /// Source port.
    pub sport: Be16,
    /// Destination port.
    pub dport: Be16,
    /// IP protocol number.
    pub protocol: u8,
    // Two scalars, as everywhere here: an array of odd length becomes a call of `memset` on BPF.
    _pad8: u8,
    _pad16: u16,
}

impl<A: Copy> FlowKey<A> {
    /// From its parts.
    #[inline(always)]
    pub const fn new(src: A, dst: A, sport: Be16, dport: Be16, protocol: u8) -> Self {
        Self { src, dst, sport, dport, protocol, _pad8: 0, _pad16: 0 }
    }

    /// The key that packets of the other direction have.
    #[must_use]
    #[inline(always)]
    pub fn reverse(&self) -> Self {
        Self::new(self.dst, self.src, self.dport, self.sport, self.protocol)
    }
}

/// How the packets of a flow leave.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// `bpf_redirect_peer`: straight into the pod behind `out_ifindex`.
    Peer = 1,
    /// `bpf_redirect`: through the egress side of `out_ifindex`, queueing discipline included.
    Egress = 2,
    /// Not by us: through the host's stack, whose netfilter may be translating this flow.
    Host = 3,
    /// `bpf_redirect_neigh`: out of `out_ifindex`, to whichever neighbour the host's routes name.
    Neighbour = 4,
}

/// Value of `FLOWS4` and `FLOWS6`: an instruction.
///
/// Counters and `last_seen_ns` are written by whichever CPU handles the packet, without atomics: a rare lost count is
/// worth less than a locked instruction per packet.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow<A> {
    /// The only interface this flow may come from; another one means somebody pretends to be its sender.
    pub in_ifindex: u32,
    /// Where it goes.
    pub out_ifindex: u32,
    /// Ethernet destination to write.
    pub dst_mac: Mac,
    /// Ethernet source to write.
    pub src_mac: Mac,
    /// A [`Via`] as a number: the kernel's memory may hold any byte.
    pub via: u8,
    /// [`Flow::AWAITS_REPLY`], or nothing.
    pub state: u8,
    /// [`Flow::TRANSLATED`], or nothing.
    pub flags: u16,
    /// `CLOCK_MONOTONIC` of a recent packet; renewed at most once a second.
    pub last_seen_ns: u64,
    /// Packets so far.
    pub packets: u64,
    /// Bytes so far, Ethernet headers included.
    pub bytes: u64,
    /// What the packet's addresses and ports become; without meaning unless [`Flow::TRANSLATED`].
    pub translation: Translation<A>,
}

/// New addresses and ports, and what they do to checksums. Ones' complement sums do not mind byte order, so the numbers
/// are as they lie in memory.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Translation<A> {
    /// Source address.
    pub src: A,
    /// Destination address.
    pub dst: A,
    /// Source port.
    pub sport: Be16,
    /// Destination port.
    pub dport: Be16,
    /// Sum of the new addresses less sum of the old.
    pub address_change: u32,
    /// The same of the ports.
    pub port_change: u32,
    // To whole words of eight bytes with either family's addresses.
    #[doc(hidden)]
    pub _pad: u32,
}

impl<A: Address> Translation<A> {
    /// From what packets have to what they shall have.
    #[inline(always)]
    #[must_use]
    pub fn new(from: &FlowKey<A>, to: &FlowKey<A>) -> Self {
        let addresses = |key: &FlowKey<A>| sum(key.src.sum(), key.dst.sum());
        let ports = |key: &FlowKey<A>| key.sport.memory() + key.dport.memory();
        Self {
            src: to.src,
            dst: to.dst,
            sport: to.sport,
            dport: to.dport,
            address_change: sum(addresses(to), !addresses(from)),
            port_change: sum(ports(to), !ports(from)),
            _pad: 0,
        }
    }
}

/// Ones' complement addition.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the halves of the sum")]
pub(crate) const fn sum(one: u32, other: u32) -> u32 {
    let sum = one as u64 + other as u64;
    (sum as u32).wrapping_add((sum >> 32) as u32)
}

impl<A> Flow<A> {
    /// Packets of this flow get other addresses or ports.
    pub const TRANSLATED: u16 = 1;

    /// The sender began this flow, and its reply has not been seen: with [`Via::Host`], what a reply makes direct. A direct
    /// connection keeps it until its client has gone on, because the server may repeat its answer.
    pub const AWAITS_REPLY: u8 = 1;

    /// Its [`Via`], or `None` for a number that no version of this layout writes.
    #[inline(always)]
    #[must_use]
    pub fn via(&self) -> Option<Via> {
        match self.via {
            1 => Some(Via::Peer),
            2 => Some(Via::Egress),
            3 => Some(Via::Host),
            4 => Some(Via::Neighbour),
            _ => None,
        }
    }
}

const _: () = assert!(size_of::<FlowKey<crate::Ip4>>() == 16 && align_of::<FlowKey<crate::Ip4>>() == 4);
const _: () = assert!(size_of::<FlowKey<crate::Ip6>>() == 40 && align_of::<FlowKey<crate::Ip6>>() == 8);
const _: () = assert!(size_of::<Flow<crate::Ip4>>() == 72 && align_of::<Flow<crate::Ip4>>() == 8);
const _: () = assert!(size_of::<Flow<crate::Ip6>>() == 96 && align_of::<Flow<crate::Ip6>>() == 8);
const _: () = assert!(core::mem::offset_of!(Flow<crate::Ip6>, translation) == 48);
