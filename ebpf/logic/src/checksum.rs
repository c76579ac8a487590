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

/// A checksum after the sum of what it covers has changed by `change`, a ones' complement difference of words as they lie in
/// memory.
#[inline(always)]
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "folded to sixteen bits")]
pub const fn checksum_after(checksum: Be16, change: u32) -> Be16 {
    // Two folds: the first can carry once more.
    let sum = !checksum.memory() & 0xffff;
    let sum = (change & 0xffff) + (change >> 16) + sum;
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    Be16::from_memory(!sum as u16)
}

#[cfg(test)]
mod tests {
    use caracal_abi::{FlowKey, Ip4, Translation};
    use etherparse::{IpNumber, Ipv4Header};

    use super::*;

    #[test]
    fn addresses_change_as_if_the_sum_were_computed_anew() {
        let none = Be16::new(0);
        let step = if cfg!(miri) { 4099 } else { 1 };
        let (from, to) = ([[10, 0, 0, 1], [192, 0, 2, 255]], [[169, 254, 1, 1], [10, 244, 255, 254]]);
        let key = |[src, dst]: [[u8; 4]; 2]| {
            let ip = |octets: [u8; 4]| Ip4(caracal_abi::Be32::new(u32::from_be_bytes(octets)));
            FlowKey::new(ip(src), ip(dst), none, none, 6)
        };
        let change = Translation::new(&key(from), &key(to)).address_change;
        for id in (0..=u16::MAX).step_by(step) {
            let header = |[src, dst]: [[u8; 4]; 2]| {
                let mut header = Ipv4Header::new(0, 64, IpNumber::UDP, src, dst).unwrap();
                header.identification = id;
                Be16::new(header.calc_header_checksum())
            };
            assert_eq!(checksum_after(header(from), change.into()), header(to), "id {id}");
        }
    }

    #[test]
    fn the_same_as_computed_anew() {
        let step = if cfg!(miri) { 4099 } else { 1 };
        let mut header = Ipv4Header::new(0, 0, IpNumber::UDP, [10, 0, 0, 1], [10, 0, 0, 2]).unwrap();
        // The identification runs through all sums that the rest of the header can have.
        for id in (0..=u16::MAX).step_by(step) {
            header.identification = id;
            for ttl in [2, 64, 255] {
                header.time_to_live = ttl;
                let before = Be16::new(header.calc_header_checksum());
                header.time_to_live = ttl - 1;
                assert_eq!(
                    checksum_after_aging(before),
                    Be16::new(header.calc_header_checksum()),
                    "id {id}, TTL {ttl}"
                );
            }
        }
    }
}
