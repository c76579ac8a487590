//! Named network namespaces of a node: `/run/netns/<name>`, as container runtimes and `ip netns` make them.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    libc,
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
    unistd::fchdir,
};

use crate::{
    init,
    namespaces::{Namespaces, NetNs, on_fresh_thread},
    sys,
};

/// Where the namespace called `name` is, seen from its node.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new("/run/netns").join(name)
}

/// Makes a network namespace and names it in the mount namespace of `node`.
pub(crate) fn add(node: &Namespaces, name: &str, label: &str) -> io::Result<NetNs> {
    on_fresh_thread(label, || {
        // The node's /proc does not show this thread, so its namespace must be reached through the one outside: by a
        // directory that is opened before, and is the working directory after.
        let namespaces = File::options().read(true).custom_flags(libc::O_DIRECTORY).open("/proc/thread-self/ns")?;
        node.enter()?;
        unshare(CloneFlags::CLONE_NEWNET)?;
        fchdir(&namespaces)?;
        init::set_inherited_sysctls().map_err(io::Error::other)?;
        sys::set_loopback_up()?;
        let path = path(name);
        File::create_new(&path)?;
        mount(Some("net"), &path, None::<&str>, MsFlags::MS_BIND, None::<&str>).inspect_err(|_| {
            let _ = fs::remove_file(&path);
        })?;
        NetNs::open(&path, label)
    })
}

/// Removes the name; one that is gone already is fine. Runs inside the node.
pub(crate) fn remove(name: &str) -> io::Result<()> {
    let path = path(name);
    match umount2(&path, MntFlags::MNT_DETACH) {
        // EINVAL: a file that nothing is mounted on.
        Ok(()) | Err(Errno::ENOENT | Errno::EINVAL) => {}
        Err(error) => return Err(error.into()),
    }
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
