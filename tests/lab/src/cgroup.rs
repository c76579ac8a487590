//! The cgroup of each machine: `<cgroup2>/caracal-lab/<lab>/<machine>`.
//!
//! A node's own cgroup is what socket programs of that node attach to, and they see only processes of that node. The
//! lab enables no controllers, so a cgroup of a node may hold processes and child cgroups at the same time.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};

use crate::wait::wait_for;

/// The directory of all labs, in every hierarchy they use.
pub(crate) const PARENT: &str = "caracal-lab";

const EMPTY_WITHIN: Duration = Duration::from_secs(5);

/// Where the machine has cgroup2 mounted: `/sys/fs/cgroup`, or `/sys/fs/cgroup/unified` beside version 1.
pub(crate) fn mount_point() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("reading /proc/self/mountinfo")?;
    find_cgroup2(&mounts).ok_or_else(|| {
        anyhow!("no cgroup2 is mounted on this machine: mount one with `mount -t cgroup2 cgroup2 /sys/fs/cgroup`")
    })
}

/// The cgroup that holds all machines of `lab`.
pub(crate) fn of_lab(lab: &str) -> Result<PathBuf> {
    Ok(mount_point()?.join(PARENT).join(lab))
}

/// Removes `cgroup` and everything below it, killing what still runs there. One that is gone already is fine.
pub(crate) fn remove(cgroup: &Path) -> Result<()> {
    if !cgroup.exists() {
        return Ok(());
    }
    match fs::write(cgroup.join("cgroup.kill"), "1") {
        // Kernels before 5.14 have no cgroup.kill; processes were killed with their init, so this is only a second
        // belt.
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("killing what is left in {}", cgroup.display()));
        }
        _ => {}
    }
    // A killed process leaves its cgroup a moment after its parent has seen it end.
    wait_for(format_args!("removal of cgroup {}", cgroup.display()), EMPTY_WITHIN, || remove_tree(cgroup))
}

/// Removes the directory of all labs if the last of them is gone.
pub(crate) fn remove_parent_if_empty() {
    if let Ok(root) = mount_point() {
        // Fails while another lab lives, which is right.
        let _ = fs::remove_dir(root.join(PARENT));
    }
}

fn remove_tree(cgroup: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(cgroup) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    match fs::remove_dir(cgroup) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Finds the mount point of cgroup2 in the text of `/proc/self/mountinfo`.
fn find_cgroup2(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        let point = mount.split(' ').nth(4)?;
        (filesystem.split(' ').next() == Some("cgroup2")).then(|| PathBuf::from(unescape(point)))
    })
}

/// Blanks in a mount point are written as octal escapes.
fn unescape(point: &str) -> String {
    point.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw";

    #[test]
    fn finds_cgroup2_beside_version_1_and_alone() {
        assert_eq!(find_cgroup2(HYBRID), Some("/sys/fs/cgroup/unified".into()));
        let alone = "29 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate";
        assert_eq!(find_cgroup2(alone), Some("/sys/fs/cgroup".into()));
    }

    #[test]
    fn a_machine_without_cgroup2_has_none() {
        assert_eq!(find_cgroup2("32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu"), None);
        assert_eq!(find_cgroup2(""), None);
        assert_eq!(find_cgroup2("not a mount table"), None);
    }

    #[test]
    fn blanks_in_the_mount_point_are_undone() {
        let line = "41 31 0:38 / /mnt/my\\040groups rw - cgroup2 none rw";
        assert_eq!(find_cgroup2(line), Some("/mnt/my groups".into()));
    }
}
