//! Following a program from system call to system call.
//!
//! The kernel stops it at each (`ptrace(2)`), so a kill comes exactly before the call that was chosen: what the program
//! did until then is done, and nothing of what comes after. Threads are followed, and processes that the program forks
//! as long as they are the program: a child that becomes another one by exec(2) is let go, as it is somebody else's to
//! test.
//!
//! Whoever traces is a thread, not a process. It waits for its own children only, so tests of one process can trace
//! side by side; what the thread itself has started before must have ended.

use std::{collections::BTreeSet, io, os::unix::process::ExitStatusExt as _, process::ExitStatus};

use nix::{
    errno::Errno,
    libc::PTRACE_EVENT_EXEC,
    sys::{
        ptrace::{self, Options},
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

use crate::sys;

/// When to kill, and whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill {
    /// Before which of the system calls, of all that is followed; the first is 1.
    pub before_call: usize,
    /// What becomes of forked processes.
    pub forks: Forks,
}

/// What becomes of processes that the program forks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forks {
    /// Their calls count, and they die together with the program: the kernel has run out of memory, say.
    DieToo,
    /// They are not followed and finish what they do: a runtime kills only whom it started.
    LiveOn,
}

/// How it ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// As planned, before the system call of this number.
    Killed { before: u64 },
    /// Earlier.
    Exited(ExitStatus),
}

struct Tracer {
    main: Pid,
    before_call: usize,
    /// Every thread that is traced.
    tracees: BTreeSet<Pid>,
    /// Calls that were begun.
    calls: usize,
    end: Option<End>,
}

/// Lets `main`, which has asked for it and stands at its beginning, run as far as `plan` says.
pub(crate) fn trace(main: Pid, plan: Kill) -> io::Result<End> {
    let first = waitpid(main, Some(WaitPidFlag::__WALL))?;
    if first != WaitStatus::Stopped(main, Signal::SIGTRAP) {
        return Err(io::Error::other(format!("{main} is not at its beginning but {first:?}")));
    }
    let mut options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    if plan.forks == Forks::DieToo {
        options |= Options::PTRACE_O_TRACEFORK | Options::PTRACE_O_TRACEVFORK;
    }
    ptrace::setoptions(main, options)?;
    let Kill { before_call, .. } = plan;
    let mut tracer = Tracer { main, before_call, tracees: BTreeSet::from([main]), calls: 0, end: None };
    resume(main, None)?;
    // To the very last: one that was forked just before the kill may not have shown yet.
    loop {
        match waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)) {
            Err(Errno::ECHILD) => break,
            status => tracer.handle(status?)?,
        }
    }
    tracer.end.ok_or_else(|| io::Error::other(format!("nobody said how {main} ended")))
}

impl Tracer {
    fn handle(&mut self, status: WaitStatus) -> io::Result<()> {
        match status {
            WaitStatus::Exited(pid, code) => self.ended(pid, ExitStatus::from_raw(code << 8)),
            WaitStatus::Signaled(pid, signal, _) => self.ended(pid, ExitStatus::from_raw(signal as i32)),
            WaitStatus::PtraceSyscall(pid) => self.at_call(pid)?,
            WaitStatus::PtraceEvent(pid, _, PTRACE_EVENT_EXEC) if pid != self.main => {
                self.tracees.remove(&pid);
                unless_dead(ptrace::detach(pid, None))?;
            }
            WaitStatus::PtraceEvent(pid, ..) => resume(pid, None)?,
            // How every new one begins.
            WaitStatus::Stopped(pid, Signal::SIGSTOP) if self.tracees.insert(pid) => match self.end {
                Some(_) => murder(pid)?,
                None => resume(pid, None)?,
            },
            WaitStatus::Stopped(pid, signal) => resume(pid, Some(signal))?,
            _ => {}
        }
        Ok(())
    }

    fn ended(&mut self, pid: Pid, status: ExitStatus) {
        self.tracees.remove(&pid);
        if pid == self.main {
            self.end.get_or_insert(End::Exited(status));
        }
    }

    /// A thread on its way into a system call or back.
    fn at_call(&mut self, pid: Pid) -> io::Result<()> {
        let ahead = match sys::call_ahead(pid) {
            // Killed with the others meanwhile.
            Err(Errno::ESRCH) => return Ok(()),
            ahead => ahead?,
        };
        self.calls += usize::from(ahead.is_some());
        match ahead {
            Some(before) if self.end.is_none() && self.calls == self.before_call => {
                self.end = Some(End::Killed { before });
                self.tracees.iter().try_for_each(|tracee| murder(*tracee))
            }
            _ => resume(pid, None),
        }
    }
}

fn resume(pid: Pid, signal: Option<Signal>) -> io::Result<()> {
    unless_dead(ptrace::syscall(pid, signal))
}

fn murder(pid: Pid) -> io::Result<()> {
    unless_dead(kill(pid, Signal::SIGKILL))
}

fn unless_dead(outcome: nix::Result<()>) -> io::Result<()> {
    match outcome {
        Err(Errno::ESRCH) => Ok(()),
        outcome => Ok(outcome?),
    }
}
