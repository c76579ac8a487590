//! Programs of a few instructions, run once for their answer.

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use aya_obj::generated::{bpf_attr, bpf_cmd, bpf_prog_type};

use crate::sys::{address, bpf};

/// A tc program.
pub(crate) struct Snippet(OwnedFd);

/// `dst = constant`, for r0 to r9.
pub(crate) const fn mov(dst: u64, constant: u64) -> u64 {
    0xb7 | dst << 8 | constant << 32
}

/// `r0 >>= constant`
pub(crate) const fn shift_right(constant: u64) -> u64 {
    0x77 | constant << 32
}

/// Calls a helper by its number.
pub(crate) const fn call(helper: u64) -> u64 {
    0x85 | helper << 32
}

/// Answers what is in r0.
pub(crate) const EXIT: u64 = 0x95;

impl Snippet {
    /// Loads it.
    pub(crate) fn load(instructions: &[u64]) -> io::Result<Self> {
        let instructions: Vec<u64> = instructions.iter().map(|instruction| instruction.to_le()).collect();
        // SAFETY: all zeroes is a value of this union of integers.
        let mut attr: bpf_attr = unsafe { std::mem::zeroed() };
        attr.__bindgen_anon_3.prog_type = bpf_prog_type::BPF_PROG_TYPE_SCHED_CLS as u32;
        attr.__bindgen_anon_3.insns = address(instructions.as_ptr());
        attr.__bindgen_anon_3.insn_cnt = u32::try_from(instructions.len()).map_err(io::Error::other)?;
        attr.__bindgen_anon_3.license = address(c"GPL".as_ptr());
        // SAFETY: instructions and licence live until the call returns.
        let fd = unsafe { bpf(bpf_cmd::BPF_PROG_LOAD, &mut attr)? };
        // SAFETY: the kernel just made it for us.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Runs it on an empty packet.
    pub(crate) fn run(&self) -> io::Result<u32> {
        const PACKET: [u8; 64] = [0; 64];

        // SAFETY: all zeroes is a value of this union of integers.
        let mut attr: bpf_attr = unsafe { std::mem::zeroed() };
        attr.test.prog_fd = self.0.as_raw_fd().unsigned_abs();
        attr.test.data_in = address(PACKET.as_ptr());
        attr.test.data_size_in = 64;
        // SAFETY: the packet lives until the call returns.
        unsafe { bpf(bpf_cmd::BPF_PROG_TEST_RUN, &mut attr)? };
        // SAFETY: the kernel wrote it.
        Ok(unsafe { attr.test.retval })
    }
}
