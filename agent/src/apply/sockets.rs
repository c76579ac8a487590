//! Programs of sockets, on the cgroup that all of the node's processes are in.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use caracal_datapath::{Features, Pinned};

use crate::{Options, face::Face};

/// Attaches them, where the kernel has them and the node a cgroup2.
pub fn attach(face: &Face, options: &Options, pinned: &Pinned) {
    if !Features::probe().sockets() {
        return;
    }
    let attached = cgroup(options).and_then(|cgroup| Ok(pinned.attach_sockets(&cgroup)?));
    if let Err(error) = attached {
        face.health.problem("sockets", format!("port mappings do not answer the node itself: {error:#}"));
    }
}

fn cgroup(options: &Options) -> anyhow::Result<PathBuf> {
    if let Some(cgroup) = &options.cgroup {
        return Ok(cgroup.clone());
    }
    let path = "/proc/self/mountinfo";
    let mounts = fs::read_to_string(path).with_context(|| path.to_owned())?;
    let found = find_cgroup2(&mounts).context("no cgroup2 is mounted whole; mount one or name it with --cgroup")?;
    Ok(found.to_owned())
}

/// Where the whole of cgroup2 is mounted, not only a part of it.
fn find_cgroup2(mounts: &str) -> Option<&Path> {
    mounts.lines().find_map(|line| {
        let (mount, rest) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, place) = (fields.next()?, fields.next()?);
        (rest.starts_with("cgroup2 ") && root == "/").then_some(Path::new(place))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_of_cgroup2_is_found_beside_version_1_and_parts() {
        let mounts = "30 29 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            31 29 0:27 /kubepods /part rw,relatime - cgroup2 cgroup2 rw\n\
            32 29 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
        assert_eq!(find_cgroup2(mounts), Some(Path::new("/sys/fs/cgroup/unified")));
        assert_eq!(find_cgroup2("30 29 0:26 / / rw - ext4 /dev/root rw\n"), None);
    }
}
