//! A flow: what was decided about its first packet, to be repeated for the others.

use crate::{Address, Be16, Mac, Translation};

/// Key of `FLOWS`: the exact 5-tuple as the hook sees it. ICMP echo has its identifier as the port of the one who asks,
/// protocols without ports have zero. `FLOWS_NEW` has one key for both directions: [`FlowKey::pair`].
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

impl<A: Address> FlowKey<A> {
    /// Of this tuple and its reverse the one under which [`Pair`] has both, and which of the two this is.
    #[must_use]
    #[inline(always)]
    pub fn pair(&self) -> (Self, usize) {
        let (src, dst) = (&self.src, &self.dst);
        let is_first = if src == dst { self.sport.memory() <= self.dport.memory() } else { src.is_before(dst) };
        if is_first { (*self, 0) } else { (self.reverse(), 1) }
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
    /// Not by us: through the host's stack.
    Host = 3,
    /// `bpf_redirect_neigh`: out of `out_ifindex`, to whichever neighbour the host's routes name. The Ethernet addresses of
    /// that neighbour are not known yet.
    Neighbour = 4,
    /// Nowhere: the route says so.
    Discard = 5,
    /// Nowhere, and a TCP sender is told that its connection is over.
    Reset = 6,
}

/// Value of `FLOWS_NEW`: what is done to packets of a tuple and of its reverse.
///
/// Mostly these are the two directions of one flow: a first packet costs one entry instead of two, and neither direction is ever
/// thrown out without the other. Those of a translated flow have two entries, of which each has one place empty.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pair<A> {
    /// By what [`FlowKey::pair`] says. One that comes from no interface is none.
    pub flows: [Flow<A>; 2],
}

/// Value of `FLOWS`, and half of `FLOWS_NEW`'s: an instruction, for one direction of a flow.
///
/// What every packet needs comes first and, with the key before it, fits two cache lines of the kernel's hash for IPv4.
/// Counters and stamps are written by whichever CPU handles the packet, without atomics: a rare lost count is worth less
/// than a locked instruction per packet.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow<A> {
    /// The only interface this direction may come from; another one means somebody pretends to be its sender.
    pub in_ifindex: u32,
    /// Where it goes.
    pub out_ifindex: u32,
    /// Ethernet destination to write.
    pub dst_mac: Mac,
    /// Ethernet source to write.
    pub src_mac: Mac,
    /// A [`Via`] as a number: the kernel's memory may hold any byte.
    pub via: u8,
    /// TCP flags that were seen in this direction, or what other protocols have in their place.
    pub seen: u8,
    /// [`Flow::TRANSLATED`] and the like.
    pub flags: u16,
    /// When a packet was last seen, in ticks: jiffies, without so many of the lowest bits that one is a second or little more.
    pub last_seen: u32,
    /// Longer packets, Ethernet header included, do not fit the way out.
    pub max_len: u32,
    /// Packets so far.
    pub packets: u64,
    /// Bytes so far, Ethernet headers included.
    pub bytes: u64,
    /// What the packet's addresses and ports become; without meaning unless [`Flow::TRANSLATED`].
    pub translation: Translation<A>,
}

impl<A> Flow<A> {
    /// Packets of this flow get other addresses or ports.
    pub const TRANSLATED: u16 = 1 << 0;
    /// The way out is the host's routes' to say, and asked for again once in a tick.
    pub const ROUTED: u16 = 1 << 1;
    /// Comes from a NIC, and may come from another one where the routes back lead there.
    pub const FROM_NET: u16 = 1 << 2;
    /// Goes by the host, whose netfilter may be translating it; a reply with these addresses shows that it does not.
    pub const AWAITS_REPLY: u16 = 1 << 3;
    /// The source is the node's: the port was leased to the sender.
    pub const MASQUERADED: u16 = 1 << 4;

    /// Whether packets of this direction have all these flags.
    #[inline(always)]
    #[must_use]
    pub const fn has(&self, flags: u16) -> bool {
        self.flags & flags == flags
    }

    /// Its [`Via`], or `None` for a number that no version of this layout writes.
    #[inline(always)]
    #[must_use]
    pub fn via(&self) -> Option<Via> {
        match self.via {
            1 => Some(Via::Peer),
            2 => Some(Via::Egress),
            3 => Some(Via::Host),
            4 => Some(Via::Neighbour),
            5 => Some(Via::Discard),
            6 => Some(Via::Reset),
            _ => None,
        }
    }
}

impl<A: Copy> Flow<A> {
    /// The key of the packets that answer those of this key.
    #[inline(always)]
    #[must_use]
    pub fn answer(&self, key: &FlowKey<A>) -> FlowKey<A> {
        if self.has(Self::TRANSLATED) {
            let Translation { src, dst, sport, dport, .. } = self.translation;
            FlowKey::new(dst, src, dport, sport, key.protocol)
        } else {
            key.reverse()
        }
    }
}

const _: () = assert!(size_of::<FlowKey<crate::Ip4>>() == 16 && align_of::<FlowKey<crate::Ip4>>() == 4);
const _: () = assert!(size_of::<FlowKey<crate::Ip6>>() == 40 && align_of::<FlowKey<crate::Ip6>>() == 8);
const _: () = assert!(size_of::<Flow<crate::Ip4>>() == 64 && align_of::<Flow<crate::Ip4>>() == 8);
const _: () = assert!(size_of::<Flow<crate::Ip6>>() == 88 && align_of::<Flow<crate::Ip6>>() == 8);
const _: () = assert!(core::mem::offset_of!(Flow<crate::Ip6>, translation) == 48);
