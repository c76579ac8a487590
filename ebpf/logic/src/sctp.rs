//! SCTP's checksum, adjusted instead of computed anew.
//!
//! The CRC is linear: changing some bits of a message changes the CRC by the CRC of those bits alone, in their place. The
//! ports are the first word of the message, so the change is that word, moved on by the length of the message: a product
//! of polynomials over GF(2), bits reflected as the CRC has them.

use caracal_abi::Be16;

use crate::verifier;

/// The polynomial, without its highest term.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// `x` to the power of 8 · 2ᵏ: what moves a word on by 2ᵏ bytes. Lengths have sixteen bits.
static POWERS: [u32; 16] = powers();

const fn powers() -> [u32; 16] {
    let mut powers = [1 << (31 - 8); 16];
    let mut k = 1;
    while k < powers.len() {
        powers[k] = product(powers[k - 1], powers[k - 1]);
        k += 1;
    }
    powers
}

/// The polynomial 1.
const ONE: u32 = 1 << 31;

/// Without branches: the verifier would follow both sides of every one of them.
#[inline(always)]
const fn product(one: u32, mut other: u32) -> u32 {
    let mut product = 0;
    let mut bit = 0;
    while bit < 32 {
        product ^= other & mask(one >> (31 - bit));
        other = other >> 1 ^ POLYNOMIAL & mask(other);
        bit += 1;
    }
    product
}

/// All ones if the lowest bit is one, else all zeros.
#[inline(always)]
const fn mask(bits: u32) -> u32 {
    (bits & 1).wrapping_neg()
}

/// The ports as the CRC sees them: the first word of the message, lowest byte first.
#[inline(always)]
#[must_use]
pub const fn word(sport: Be16, dport: Be16) -> u32 {
    (sport.get().swap_bytes() as u32) | (dport.get().swap_bytes() as u32) << 16
}

/// How the checksum of a message of `len` bytes changes with its first word.
#[inline(always)]
#[must_use]
pub fn checksum_change(word_change: u32, len: u32) -> u32 {
    let mut change = word_change;
    for (k, power) in POWERS.iter().enumerate() {
        // By that power, or by one.
        change = product(ONE ^ (ONE ^ *power) & verifier::mask(len >> k), change);
    }
    change
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The CRC, bit by bit, as RFC 9260 has it.
    fn crc32c(message: &[u8]) -> u32 {
        let mut crc = u32::MAX;
        for byte in message {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = crc >> 1 ^ if crc & 1 != 0 { POLYNOMIAL } else { 0 };
            }
        }
        !crc
    }

    #[test]
    fn the_reference_is_right() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 4 } else { 512 }, ..ProptestConfig::default() })]
        #[test]
        fn the_same_as_computed_anew(
            mut message in proptest::collection::vec(any::<u8>(), 12..2000), sport: u16, dport: u16,
        ) {
            let ports = |message: &[u8]| {
                let port = |at: usize| Be16::new(u16::from_be_bytes([message[at], message[at + 1]]));
                word(port(0), port(2))
            };
            let (old, old_ports) = (crc32c(&message), ports(&message));
            message[..2].copy_from_slice(&sport.to_be_bytes());
            message[2..4].copy_from_slice(&dport.to_be_bytes());
            let change = checksum_change(old_ports ^ ports(&message), message.len().try_into().unwrap());
            prop_assert_eq!(old ^ change, crc32c(&message));
        }
    }
}
