//! What a machine of the lab sees as its file system: the one of the real machine, with everything that a node writes
//! to covered by something of its own.
//!
//! `/etc`, `/opt` and `/var` are overlays whose upper layer is a tmpfs; `/run`, `/tmp` and the directories of CNI are
//! empty; `/proc`, `/sys`, `/sys/fs/bpf` and `/sys/fs/cgroup` show the machine's own namespaces. All of it lives in a
//! private mount namespace and goes with it.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// Directories of the real machine that a node may write into without the machine noticing.
const OVERLAYS: [&str; 3] = ["etc", "opt", "var"];

/// Directories that are empty at first, whatever the real machine has there, and their permissions.
const EMPTY: [(&str, u32); 5] =
    [("tmp", 0o1777), ("run", 0o755), ("etc/cni/net.d", 0o755), ("opt/cni/bin", 0o755), ("var/lib/cni", 0o755)];

/// Directories that software of a Kubernetes node expects.
const EXPECTED: [&str; 3] = ["/run/netns", "/run/caracal", "/run/lock"];

/// Builds the file system of this process, which is alone in new mount, network and cgroup namespaces.
///
/// `scratch` is a directory to hide a tmpfs in; `visible` are directories that stay visible, read-only, even where they
/// lie below `/tmp` or `/run`.
pub(crate) fn build(scratch: &Path, visible: &[PathBuf]) -> Result<()> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .context("making all mounts private")?;
    mount_new("tmpfs", scratch, Some("mode=755"))?;
    for name in OVERLAYS {
        overlay(scratch, name)?;
    }
    for (name, mode) in EMPTY {
        cover(scratch, name, mode, visible)?;
    }
    for dir in EXPECTED {
        fs::create_dir_all(dir).with_context(|| format!("creating {dir}"))?;
    }
    mount_new("proc", Path::new("/proc"), None)?;
    umount2("/sys", MntFlags::MNT_DETACH).context("unmounting the real machine's /sys")?;
    mount_new("sysfs", Path::new("/sys"), None)?;
    mount_new("bpf", Path::new("/sys/fs/bpf"), Some("mode=700"))?;
    mount_new("cgroup2", Path::new("/sys/fs/cgroup"), None)
}

fn mount_new(fstype: &str, target: &Path, options: Option<&str>) -> Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some(fstype), target, Some(fstype), flags, options)
        .with_context(|| format!("mounting {fstype} on {}", target.display()))
}

/// Makes `/<name>` writable without writing to it.
fn overlay(scratch: &Path, name: &str) -> Result<()> {
    let target = Path::new("/").join(name);
    let upper = scratch.join("upper").join(name);
    let work = scratch.join("work").join(name);
    for dir in [&upper, &work] {
        fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    }
    let options = format!("lowerdir={},upperdir={},workdir={}", target.display(), upper.display(), work.display());
    mount(Some("overlay"), &target, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
        .with_context(|| format!("mounting an overlay on {}", target.display()))
}

/// Covers `/<name>` with an empty directory in which only what is `visible` of it remains.
fn cover(scratch: &Path, name: &str, mode: u32, visible: &[PathBuf]) -> Result<()> {
    let target = Path::new("/").join(name);
    let cover = scratch.join("empty").join(name);
    for dir in [&cover, &target] {
        fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    }
    fs::set_permissions(&cover, fs::Permissions::from_mode(mode))
        .with_context(|| format!("setting the mode of {}", cover.display()))?;
    for source in outermost(visible) {
        if let Ok(rest) = source.strip_prefix(&target) {
            keep(source, &cover.join(rest))?;
        }
    }
    bind(&cover, &target, MsFlags::MS_REC)
}

/// Shows `source` read-only at `target`.
fn keep(source: &Path, target: &Path) -> Result<()> {
    fs::create_dir_all(target).with_context(|| format!("creating {}", target.display()))?;
    bind(source, target, MsFlags::empty())?;
    let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(None::<&str>, target, None::<&str>, flags, None::<&str>)
        .with_context(|| format!("making {} read-only", target.display()))
}

fn bind(source: &Path, target: &Path, flags: MsFlags) -> Result<()> {
    mount(Some(source), target, None::<&str>, MsFlags::MS_BIND | flags, None::<&str>)
        .with_context(|| format!("bind mounting {} on {}", source.display(), target.display()))
}

/// The paths that lie below no other of them.
fn outermost(paths: &[PathBuf]) -> Vec<&Path> {
    let mut sorted: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    sorted.sort_unstable();
    let mut kept: Vec<&Path> = Vec::new();
    for path in sorted {
        if !kept.last().is_some_and(|outer| path.starts_with(outer)) {
            kept.push(path);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_below_another_is_not_mounted_twice() {
        let paths = ["/tmp/target/debug", "/tmp/target", "/tmp/target2", "/tmp/target/debug"].map(PathBuf::from);
        assert_eq!(outermost(&paths), [Path::new("/tmp/target"), Path::new("/tmp/target2")]);
    }
}
