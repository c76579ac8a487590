//! The few things that need `unsafe`.

use std::{os::unix::process::CommandExt, process::Command};

use nix::{libc::PTRACE_SYSCALL_INFO_ENTRY, sys::ptrace, unistd::Pid};

/// Makes the child ask to be traced by the thread that starts it: it stops before its first instruction.
pub(crate) fn trace_from_exec(command: &mut Command) {
    // SAFETY: between fork and exec the closure makes one system call: no allocation, no lock.
    unsafe { command.pre_exec(|| Ok(ptrace::traceme()?)) };
}

/// Number of the system call that a stopped thread is about to make; none if it has just made one.
pub(crate) fn call_ahead(pid: Pid) -> nix::Result<Option<u64>> {
    let info = ptrace::syscall_info(pid)?;
    if info.op != PTRACE_SYSCALL_INFO_ENTRY {
        return Ok(None);
    }
    // SAFETY: `op` says that the kernel has filled in this member of the union.
    Ok(Some(unsafe { info.u.entry.nr }))
}
