//! Namespaces for one closure.

use std::{path::Path, thread};

use anyhow::Context;
use caracal_datapath::Root;
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    unistd::Uid,
};

/// Whether namespaces can be made and programs loaded at all.
#[must_use]
pub fn is_root() -> bool {
    Uid::effective().is_root()
}

/// Runs `body` on a thread that has its own network and mount namespace, with a bpffs for the root it is given.
///
/// Everything in there goes with the thread. A panic of `body` is passed on.
pub fn isolated<T: Send>(body: impl FnOnce(&Root) -> T + Send) -> T {
    assert!(is_root(), "needs root: loading eBPF programs and making namespaces; run `make test` as root");
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let root = enter().expect("cannot make namespaces of our own");
            body(&root)
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn enter() -> anyhow::Result<Root> {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).context("unshare")?;
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).context("make mounts private")?;
    // A fresh one even where the machine has its own mounted: mounting hides it from this thread.
    let directory = Path::new("/sys/fs/bpf");
    mount(Some("bpf"), directory, Some("bpf"), MsFlags::empty(), none).context("mount a bpffs")?;
    Ok(Root::new(directory.join("caracal")))
}
