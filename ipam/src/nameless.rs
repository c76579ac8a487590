//! Files that are written before they have a name: nobody sees half of one, and two who give the same name to theirs
//! cannot both succeed.

use std::{
    fs::{File, OpenOptions},
    io,
    os::{fd::AsRawFd, unix::fs::OpenOptionsExt},
    path::Path,
};

use nix::{
    fcntl::{AT_FDCWD, AtFlags, OFlag},
    unistd::linkat,
};

/// An empty file on the file system of `dir`, for its owner to read and write. It vanishes with the process unless it
/// is named.
pub fn create(dir: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).mode(0o600).custom_flags(OFlag::O_TMPFILE.bits()).open(dir).map_err(|e| {
        if e.raw_os_error() == Some(nix::libc::EOPNOTSUPP) {
            io::Error::new(e.kind(), format!("{e}: use a directory on tmpfs, ext4, xfs or btrfs"))
        } else {
            e
        }
    })
}

/// Gives `file` one more name; fails if there is something of that name.
pub fn name(file: &File, path: &Path) -> io::Result<()> {
    // Through /proc, because AT_EMPTY_PATH wants a capability on kernels before 6.10.
    let source = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(linkat(AT_FDCWD, source.as_str(), AT_FDCWD, path, AtFlags::AT_SYMLINK_FOLLOW)?)
}
