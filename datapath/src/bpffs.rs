//! The file system that pins live on.

use std::{fs, path::Path};

use nix::{
    mount::MsFlags,
    sys::statfs::{BPF_FS_MAGIC, statfs},
};

use crate::Error;

/// Whether a directory is on a bpffs.
pub(crate) fn is_bpffs(path: &Path) -> bool {
    statfs(path).is_ok_and(|fs| fs.filesystem_type() == BPF_FS_MAGIC)
}

/// Mounts a bpffs at `path` unless there is one.
pub fn mount(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(Error::directory("create it", path))?;
    if is_bpffs(path) {
        return Ok(());
    }
    nix::mount::mount(Some("bpf"), path, Some("bpf"), MsFlags::empty(), Some("mode=0700"))
        .map_err(|errno| Error::directory("mount a bpffs", path)(errno.into()))
}
