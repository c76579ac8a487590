//! Going into namespaces: always on a fresh thread that ends there, so that no thread of the test ever changes its
//! place.

use std::{fs::File, io, panic, path::Path, sync::Arc, thread};

use nix::sched::{CloneFlags, setns, unshare};

/// A network namespace. It lives as long as a handle, a process or a mount refers to it.
#[derive(Debug, Clone)]
pub struct NetNs {
    file: Arc<File>,
    label: Arc<str>,
}

impl NetNs {
    /// Opens the namespace that `path` names, such as `/run/netns/x` or `/proc/1/ns/net`.
    pub fn open(path: &Path, label: &str) -> io::Result<Self> {
        Ok(Self { file: Arc::new(File::open(path)?), label: label.into() })
    }

    /// What messages call it, such as `n1/a`.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    pub(crate) fn enter(&self) -> io::Result<()> {
        setns(&*self.file, CloneFlags::CLONE_NEWNET).map_err(io::Error::from)
    }
}

/// Runs `work` on a fresh thread inside `netns`. A socket made there stays there, whoever uses it later.
///
/// Processes that `work` starts are in `netns` too, but in no other namespace of a node.
///
/// # Panics
/// If `work` does, with its panic.
pub fn in_netns<T: Send>(netns: &NetNs, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    on_fresh_thread(netns.label(), || {
        netns.enter()?;
        Ok(work())
    })
}

/// Runs `work` on a thread of its own and waits for it.
pub(crate) fn on_fresh_thread<T: Send>(name: &str, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, work)?;
        thread.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked))
    })
}

/// The namespaces of one machine of the lab, held open.
#[derive(Debug)]
pub(crate) struct Namespaces {
    net: NetNs,
    mount: File,
    pid: File,
    uts: File,
    cgroup: File,
}

impl Namespaces {
    /// Opens the namespaces of process `pid`.
    pub(crate) fn of_process(pid: i32, label: &str) -> io::Result<Self> {
        let path = |kind: &str| format!("/proc/{pid}/ns/{kind}");
        Ok(Self {
            net: NetNs::open(path("net").as_ref(), label)?,
            mount: File::open(path("mnt"))?,
            pid: File::open(path("pid"))?,
            uts: File::open(path("uts"))?,
            cgroup: File::open(path("cgroup"))?,
        })
    }

    pub(crate) fn net(&self) -> &NetNs {
        &self.net
    }

    /// Moves this thread into all of them, except that a thread cannot change the pid namespace it is in.
    pub(crate) fn enter(&self) -> io::Result<()> {
        // Changing the mount namespace changes root and working directory, which all threads share until this.
        unshare(CloneFlags::CLONE_FS)?;
        setns(&self.uts, CloneFlags::CLONE_NEWUTS)?;
        setns(&self.cgroup, CloneFlags::CLONE_NEWCGROUP)?;
        self.net.enter()?;
        setns(&self.mount, CloneFlags::CLONE_NEWNS)?;
        Ok(())
    }

    /// As [`Self::enter`]; processes that this thread starts are in the pid namespace too. It can start no threads.
    pub(crate) fn enter_with_pid(&self) -> io::Result<()> {
        setns(&self.pid, CloneFlags::CLONE_NEWPID)?;
        self.enter()
    }
}
