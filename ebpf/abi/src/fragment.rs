//! Fragments: what the first of a datagram says about the others, and those that come before it.

use crate::{Be16, FlowKey};

/// Key of `FRAGS`: a datagram, as the hook sees it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FragmentKey<A> {
    /// Source address.
    pub src: A,
    /// Destination address.
    pub dst: A,
    /// Which datagram, as its sender numbers them.
    pub id: u32,
    /// The interface its fragments come in by.
    pub ifindex: u32,
    /// IP protocol number for IPv4, whose senders number each protocol's datagrams by themselves; zero for IPv6, of which
    /// only the first fragment says it.
    pub protocol: u32,
    #[doc(hidden)]
    pub _pad: u32,
}

/// Value of `FRAGS`: what the first fragment has said, and what became of it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FirstFragment {
    /// Source port.
    pub sport: Be16,
    /// Destination port.
    pub dport: Be16,
    /// IP protocol number.
    pub protocol: u8,
    #[doc(hidden)]
    pub _pad8: u8,
    #[doc(hidden)]
    pub _pad16: u16,
    /// The answer of the program that had it. Until there is one, that of packets which are sent on.
    pub action: i32,
    /// When it came, in ticks.
    pub since: u32,
}

impl FirstFragment {
    /// The flow of every fragment of this datagram.
    #[inline(always)]
    pub const fn flow<A: Copy>(&self, key: &FragmentKey<A>) -> FlowKey<A> {
        FlowKey::new(key.src, key.dst, self.sport, self.dport, self.protocol)
    }
}

/// Key of `HELD`: one of the fragments of a datagram that have come before its first. Addresses of both families lie at the
/// beginning of their words, as they do in packets.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct HeldKey {
    /// Source address.
    pub src: [u32; 4],
    /// Destination address.
    pub dst: [u32; 4],
    /// As in [`FragmentKey`].
    pub id: u32,
    /// As in [`FragmentKey`].
    pub ifindex: u32,
    /// As in [`FragmentKey`].
    pub protocol: u32,
    /// Which of them, less than [`Held::SLOTS`].
    pub slot: u32,
}

/// Value of `HELD`: the fragment itself.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// When it came, in ticks.
    pub since: u32,
    /// Bytes of the frame.
    pub len: u32,
    /// The frame from its Ethernet header on; what is behind it has no meaning.
    pub frame: [u8; Self::MAX_LEN as usize],
}

impl Held {
    /// Fragments of one datagram that are held at most.
    pub const SLOTS: u32 = 16;
    /// Bytes of the longest frame that is held.
    pub const MAX_LEN: u32 = 2048;
    /// Ticks after which a datagram that is not whole is given up, as the kernel does.
    pub const PATIENCE: u32 = 30;
}

impl Default for Held {
    fn default() -> Self {
        Self { since: 0, len: 0, frame: [0; Self::MAX_LEN as usize] }
    }
}

const _: () = assert!(size_of::<FragmentKey<crate::Ip4>>() == 24 && size_of::<FragmentKey<crate::Ip6>>() == 48);
const _: () = assert!(size_of::<FirstFragment>() == 16 && align_of::<FirstFragment>() == 4);
const _: () = assert!(size_of::<HeldKey>() == 48 && size_of::<Held>() == 8 + Held::MAX_LEN as usize);
