//! What the kernel's verifier needs and no other reader.

/// No header may begin beyond this: the verifier follows no offset into a packet above 0xffff, the header included.
pub const MAX_OFFSET: usize = 0x7fff;

/// The offset unchanged, which is at most [`MAX_OFFSET`], and that is now all the verifier knows of it.
///
/// The verifier follows every way through a loop, but does not go on where it has been before with the same values or
/// more of them. After this all ways have come to the same offset, as far as it can tell: it does not see that the two
/// steps cancel out. `noise` is a number of which it knows nothing, so one out of the packet.
#[cfg_attr(not(target_arch = "bpf"), expect(unused_variables, reason = "other readers see the number itself"))]
#[inline(always)]
pub(crate) fn any_offset(offset: usize, noise: u16) -> usize {
    #[cfg(target_arch = "bpf")]
    {
        let (mut offset, noise) = (offset, usize::from(noise));
        // SAFETY: changes the one register it may change.
        unsafe {
            core::arch::asm!(
                "{offset} ^= {noise}",
                "{offset} ^= {noise}",
                "{offset} &= {max}",
                offset = inout(reg) offset,
                max = const MAX_OFFSET,
                noise = in(reg) noise,
                options(pure, nomem, nostack),
            );
        }
        offset
    }
    #[cfg(not(target_arch = "bpf"))]
    offset
}

/// All ones if the lowest bit is one, else all zeros, which the compiler does not see and so cannot make a branch of.
#[cfg_attr(target_arch = "bpf", expect(clippy::cast_possible_truncation, reason = "a register's lower half"))]
#[inline(always)]
pub(crate) fn mask(bits: u32) -> u32 {
    #[cfg(target_arch = "bpf")]
    {
        let mut mask = u64::from(bits & 1);
        // SAFETY: changes the one register it may change.
        unsafe {
            core::arch::asm!("{mask} = -{mask}", mask = inout(reg) mask, options(pure, nomem, nostack));
        }
        mask as u32
    }
    #[cfg(not(target_arch = "bpf"))]
    (bits & 1).wrapping_neg()
}
