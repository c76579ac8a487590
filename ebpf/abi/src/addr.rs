//! Addresses and ports in the byte order of the wire.
//!
//! The types are aligned integers rather than byte arrays: a `[u8; 4]` copied on the BPF target becomes four loads, a
//! `u32` one.

use crate::translation::sum;

/// A 16-bit number in network byte order: ports, `EtherTypes`, lengths on the wire.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Be16(u16);

impl Be16 {
    /// From a number as the CPU holds it.
    #[inline(always)]
    #[must_use]
    pub const fn new(host: u16) -> Self {
        Self(host.to_be())
    }

    /// The number as the CPU holds it.
    #[inline(always)]
    #[must_use]
    pub const fn get(self) -> u16 {
        u16::from_be(self.0)
    }
}

impl Be16 {
    /// The number as it lies in memory, for checksums.
    #[inline(always)]
    #[must_use]
    pub const fn memory(self) -> u32 {
        self.0 as u32
    }

    /// From a number as it lies in memory.
    #[inline(always)]
    #[must_use]
    pub const fn from_memory(number: u16) -> Self {
        Self(number)
    }
}

/// A 32-bit number in network byte order.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Be32(u32);

impl Be32 {
    /// From a number as the CPU holds it.
    #[inline(always)]
    #[must_use]
    pub const fn new(host: u32) -> Self {
        Self(host.to_be())
    }

    /// The number as the CPU holds it.
    #[inline(always)]
    #[must_use]
    pub const fn get(self) -> u32 {
        u32::from_be(self.0)
    }

    /// The number as it lies in memory, for checksums.
    #[inline(always)]
    #[must_use]
    pub const fn memory(self) -> u32 {
        self.0
    }
}

/// A 64-bit number in network byte order.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Be64(u64);

impl Be64 {
    /// From a number as the CPU holds it.
    #[inline(always)]
    #[must_use]
    pub const fn new(host: u64) -> Self {
        Self(host.to_be())
    }

    /// The number as the CPU holds it.
    #[inline(always)]
    #[must_use]
    pub const fn get(self) -> u64 {
        u64::from_be(self.0)
    }
}

/// An IPv4 address.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ip4(pub Be32);

/// An IPv6 address: two loads on BPF. In a packet it is not aligned so well, which the load instructions do not mind.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ip6(pub [Be64; 2]);

impl Ip4 {
    /// From a number as it lies in memory.
    #[inline(always)]
    #[must_use]
    pub const fn from_memory(number: u32) -> Self {
        Self(Be32(number))
    }

    /// The number as it lies in memory.
    #[inline(always)]
    #[must_use]
    pub const fn memory(self) -> u32 {
        self.0.0
    }
}

impl Ip6 {
    /// What an IPv4 address begins with where IPv6 sockets speak IPv4: `::ffff:0:0/96`.
    const V4: [u32; 3] = [0, 0, 0x0000_ffff_u32.to_be()];

    /// From words as they lie in memory.
    #[inline(always)]
    #[must_use]
    pub const fn from_memory([a, b, c, d]: [u32; 4]) -> Self {
        Self([join(a, b), join(c, d)])
    }

    /// The words as they lie in memory.
    #[inline(always)]
    #[must_use]
    pub const fn memory(self) -> [u32; 4] {
        let [(a, b), (c, d)] = [split(self.0[0]), split(self.0[1])];
        [a, b, c, d]
    }

    /// The IPv4 address that this stands for, if it is such a one.
    #[inline(always)]
    #[must_use]
    pub const fn as_v4(self) -> Option<Ip4> {
        let [a, b, c, d] = self.memory();
        if a == Self::V4[0] && b == Self::V4[1] && c == Self::V4[2] { Some(Ip4::from_memory(d)) } else { None }
    }

    /// An IPv4 address as IPv6 sockets write it.
    #[inline(always)]
    #[must_use]
    pub const fn from_v4(addr: Ip4) -> Self {
        Self::from_memory([Self::V4[0], Self::V4[1], Self::V4[2], addr.memory()])
    }
}

/// Two words that follow each other in memory.
#[inline(always)]
const fn join(first: u32, second: u32) -> Be64 {
    Be64(if cfg!(target_endian = "little") {
        first as u64 | (second as u64) << 32
    } else {
        (first as u64) << 32 | second as u64
    })
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the halves")]
const fn split(word: Be64) -> (u32, u32) {
    let (low, high) = (word.0 as u32, (word.0 >> 32) as u32);
    if cfg!(target_endian = "little") { (low, high) } else { (high, low) }
}

/// An Ethernet address.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

/// An IP address of one family: what the two families' map keys and headers differ in.
pub trait Address: Copy + core::fmt::Debug + Default + PartialEq + Eq + core::hash::Hash + 'static {
    /// `0.0.0.0` or `::`.
    fn is_unspecified(&self) -> bool;
    /// `169.254.0.0/16` or `fe80::/10`.
    fn is_link_local(&self) -> bool;
    /// `224.0.0.0/4` or `ff00::/8`.
    fn is_multicast(&self) -> bool;
    /// `127.0.0.0/8` or `::1`.
    fn is_loopback(&self) -> bool;
    /// Ones' complement sum of the address as it lies in memory.
    fn sum(&self) -> u32;
    /// Whether it comes before another, in an order that means nothing but is always the same.
    fn is_before(&self, other: &Self) -> bool;
}

impl Address for Ip4 {
    #[inline(always)]
    fn is_unspecified(&self) -> bool {
        self.0.get() == 0
    }

    #[inline(always)]
    fn is_link_local(&self) -> bool {
        self.0.get() >> 16 == 0xa9fe
    }

    #[inline(always)]
    fn is_multicast(&self) -> bool {
        self.0.get() >> 28 == 0xe
    }

    #[inline(always)]
    fn is_loopback(&self) -> bool {
        self.0.get() >> 24 == 127
    }

    #[inline(always)]
    fn sum(&self) -> u32 {
        self.0.0
    }

    #[inline(always)]
    fn is_before(&self, other: &Self) -> bool {
        self.memory() < other.memory()
    }
}

impl Address for Ip6 {
    #[inline(always)]
    fn is_unspecified(&self) -> bool {
        let [high, low] = self.0;
        high.get() | low.get() == 0
    }

    #[inline(always)]
    fn is_link_local(&self) -> bool {
        self.0[0].get() >> 54 == 0xfe80 >> 6
    }

    #[inline(always)]
    fn is_multicast(&self) -> bool {
        self.0[0].get() >> 56 == 0xff
    }

    #[inline(always)]
    fn is_loopback(&self) -> bool {
        let [high, low] = self.0;
        high.get() == 0 && low.get() == 1
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the halves of each word")]
    fn sum(&self) -> u32 {
        let [high, low] = self.0.map(|word| sum(word.0 as u32, (word.0 >> 32) as u32));
        sum(high, low)
    }

    #[inline(always)]
    fn is_before(&self, other: &Self) -> bool {
        // Most addresses on a node begin alike.
        if self.0[1] == other.0[1] { self.0[0].0 < other.0[0].0 } else { self.0[1].0 < other.0[1].0 }
    }
}

const _: () = assert!(size_of::<Ip4>() == 4 && align_of::<Ip4>() == 4);
const _: () = assert!(size_of::<Ip6>() == 16 && align_of::<Ip6>() == 8);
const _: () = assert!(size_of::<Mac>() == 6 && align_of::<Mac>() == 1);
