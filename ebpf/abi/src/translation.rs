//! Other addresses and ports for a packet.

use crate::{Address, Be16, Be32, FlowKey};

/// New addresses and ports, and what they do to checksums: ones' complement differences, folded to sixteen bits. Such sums
/// do not mind byte order, so the numbers are as they lie in memory.
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
    pub address_change: u16,
    /// The same of the ports.
    pub port_change: u16,
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
            address_change: fold(sum(addresses(to), !addresses(from))),
            port_change: fold(sum(ports(to), !ports(from))),
        }
    }
}

/// What two changes do together.
#[inline(always)]
#[must_use]
pub const fn both(one: u16, other: u16) -> u16 {
    fold(one as u32 + other as u32)
}

/// What a number that becomes another does to a checksum.
#[inline(always)]
#[must_use]
pub const fn change(from: Be16, to: Be16) -> u16 {
    fold(sum(to.memory(), !from.memory()))
}

/// The same of two numbers that lie side by side.
#[inline(always)]
#[must_use]
pub const fn change_of_word(from: Be32, to: Be32) -> u16 {
    fold(sum(to.memory(), !from.memory()))
}

/// Ones' complement addition.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the halves of the sum")]
pub(crate) const fn sum(one: u32, other: u32) -> u32 {
    let sum = one as u64 + other as u64;
    (sum as u32).wrapping_add((sum >> 32) as u32)
}

/// The same sum in sixteen bits.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "folded")]
#[must_use]
pub const fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

const _: () = assert!(size_of::<Translation<crate::Ip4>>() == 16 && size_of::<Translation<crate::Ip6>>() == 40);
