//! A child process: the one thing here that has no safe wrapper.

#![expect(unsafe_code, reason = "fork(2), and the end of a forked process")]

use std::io;

use nix::{
    errno::Errno,
    libc,
    sys::wait::{WaitPidFlag, WaitStatus, waitpid},
    unistd::{ForkResult, Pid, fork},
};

/// More descriptors than a plugin ever has, for kernels before 5.9 that cannot close all of them at once.
const DESCRIPTORS: libc::c_uint = 256;

/// A child that works on its own, also when its parent is gone.
#[derive(Debug)]
pub(crate) struct Child(Pid);

impl Child {
    /// Starts a child that does `work`, ends, and says how it went by an error number, 0 for success. It shares no
    /// descriptor with its parent: whoever waits for the parent's output to end does not wait for the child.
    pub(crate) fn start(work: impl FnOnce() -> Result<(), i32>) -> io::Result<Self> {
        // SAFETY: the plugin and its tests' callers have one thread, so the child finds no lock held by another.
        match unsafe { fork() }.map_err(io::Error::from)? {
            ForkResult::Parent { child } => Ok(Self(child)),
            ForkResult::Child => {
                close_everything();
                let code = work().err().unwrap_or_default();
                // SAFETY: ends the process at once; what the parent would do at its end is not the child's to do.
                unsafe { libc::_exit(code) }
            }
        }
    }

    /// Whether it has ended, and how.
    pub(crate) fn outcome(&self) -> Option<io::Result<()>> {
        match waitpid(self.0, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => None,
            Ok(WaitStatus::Exited(_, 0)) => Some(Ok(())),
            Ok(WaitStatus::Exited(_, errno)) => Some(Err(io::Error::from_raw_os_error(errno))),
            Ok(other) => Some(Err(io::Error::other(format!("the child that does it ended: {other:?}")))),
            Err(errno) => Some(Err(errno.into())),
        }
    }
}

fn close_everything() {
    // SAFETY: the child uses nothing of its parent's.
    if unsafe { libc::syscall(libc::SYS_close_range, 0, libc::c_uint::MAX, 0) } != 0 {
        for descriptor in 0..DESCRIPTORS {
            // SAFETY: the same.
            unsafe { libc::close(descriptor.cast_signed()) };
        }
    }
}
