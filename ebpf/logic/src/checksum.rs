//! Internet checksums, adjusted instead of computed anew (RFC 1624).

use caracal_abi::Be16;

/// The IPv4 header checksum after one was taken from the TTL.
///
/// The TTL is the high byte of its 16-bit word, so the sum of the header went down by 0x100 and its complement goes up.
#[inline(always)]
#[must_use]
pub const fn checksum_after_aging(checksum: Be16) -> Be16 {
    let (sum, carry) = checksum.get().overflowing_add(0x100);
    // 0xffff is the other zero of this arithmetic, which a header never sums to: it wraps like a carry.
    Be16::new(sum.wrapping_add((carry || sum == u16::MAX) as u16))
}
