//! A container's network namespace.
//!
//! Work inside is done by the calling thread, which comes back whatever the work comes to. A thread of its own would
//! need no way back, but starting and joining one takes longer than two `setns(2)`. A netlink socket opened inside goes
//! on belonging there.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

use nix::sched::{CloneFlags, setns};

/// Where the calling thread is.
const OWN: &str = "/proc/thread-self/ns/net";

/// Why a path is not a namespace to work in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be opened.
    #[error("CNI_NETNS: {}: {source}", path.display())]
    Open {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is the plugin's own namespace.
    #[error("CNI_NETNS: {} is the namespace of the plugin itself", path.display())]
    Own {
        /// The path.
        path: PathBuf,
    },
    /// It cannot be entered: most likely it is no network namespace.
    #[error("CNI_NETNS: {}: cannot be entered as a network namespace: {source}", path.display())]
    Enter {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// An open network namespace; it lives at least as long as this.
#[derive(Debug)]
pub struct Netns {
    file: File,
    path: PathBuf,
}

impl Netns {
    /// Opens the namespace at `path`. The plugin's own is refused unless `own_allowed`: its links are not a pod's.
    pub fn open(path: &Path, own_allowed: bool) -> Result<Self, Error> {
        let failed = |source| Error::Open { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        if !own_allowed {
            let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
            let own = fs::metadata(OWN).map_err(failed)?;
            if identity(file.metadata().map_err(failed)?) == identity(own) {
                return Err(Error::Own { path: path.to_owned() });
            }
        }
        Ok(Self { file, path: path.to_owned() })
    }

    /// The namespace of the calling thread.
    pub fn own() -> Result<Self, Error> {
        Self::open(Path::new(OWN), true)
    }

    /// Does `work` inside.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> Result<T, Error> {
        let failed = |source| Error::Enter { path: self.path.clone(), source };
        let home = File::open(OWN).map_err(failed)?;
        setns(&self.file, CloneFlags::CLONE_NEWNET).map_err(|errno| failed(errno.into()))?;
        let _way_back = WayBack(home);
        Ok(work())
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The namespace to return to.
struct WayBack(File);

impl Drop for WayBack {
    #[expect(clippy::expect_used, reason = "going on in a pod's namespace would change the pod for the host")]
    fn drop(&mut self) {
        setns(&self.0, CloneFlags::CLONE_NEWNET).expect("a thread can return to the namespace it came from");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_namespace_is_refused() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let netns = Netns::open(path.path(), false).unwrap();
        assert!(matches!(netns.run(|| ()), Err(Error::Enter { .. })));
        assert!(matches!(Netns::open(Path::new("/nothing"), false), Err(Error::Open { .. })));
    }

    #[test]
    fn ones_own_namespace_is_allowed_only_on_demand() {
        assert!(matches!(Netns::open(Path::new(OWN), false), Err(Error::Own { .. })));
        assert!(Netns::open(Path::new(OWN), true).is_ok());
    }
}
