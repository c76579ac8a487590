//! A flow: what was decided about its first packet, to be repeated for the others.

use crate::{Be16, Mac};

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
}

/// Value of `FLOWS4` and `FLOWS6`: an instruction.
///
/// Counters and `last_seen_ns` are written by whichever CPU handles the packet, without atomics: a rare lost count is
/// worth less than a locked instruction per packet.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
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
    #[doc(hidden)]
    pub _pad16: u16,
    /// `CLOCK_MONOTONIC` of a recent packet; renewed at most once a second.
    pub last_seen_ns: u64,
    /// Packets so far.
    pub packets: u64,
    /// Bytes so far, Ethernet headers included.
    pub bytes: u64,
}

impl Flow {
    /// The sender began this flow, and its reply has not been seen: with [`Via::Host`], what a reply makes direct.
    pub const AWAITS_REPLY: u8 = 1;

    /// Its [`Via`], or `None` for a number that no version of this layout writes.
    #[inline(always)]
    #[must_use]
    pub fn via(&self) -> Option<Via> {
        match self.via {
            1 => Some(Via::Peer),
            2 => Some(Via::Egress),
            3 => Some(Via::Host),
            _ => None,
        }
    }
}

const _: () = assert!(size_of::<FlowKey<crate::Ip4>>() == 16 && align_of::<FlowKey<crate::Ip4>>() == 4);
const _: () = assert!(size_of::<FlowKey<crate::Ip6>>() == 40 && align_of::<FlowKey<crate::Ip6>>() == 8);
const _: () = assert!(size_of::<Flow>() == 48 && align_of::<Flow>() == 8);
