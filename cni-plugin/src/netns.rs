//! A container's network namespace.
//!
//! The plugin itself never leaves its own: work inside is done by a thread that ends with it, so there is no way back to
//! forget or to fail.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
    thread,
};

use nix::sched::{CloneFlags, setns};

/// Enough for a few system calls.
const STACK_LEN: usize = 256 * 1024;

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
            let own = fs::metadata("/proc/thread-self/ns/net").map_err(failed)?;
            if identity(file.metadata().map_err(failed)?) == identity(own) {
                return Err(Error::Own { path: path.to_owned() });
            }
        }
        Ok(Self { file, path: path.to_owned() })
    }

    /// Does `work` inside.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, Error> {
        let failed = |source| Error::Enter { path: self.path.clone(), source };
        let inside = || {
            setns(&self.file, CloneFlags::CLONE_NEWNET)?;
            Ok(work())
        };
        thread::scope(|scope| {
            let thread = thread::Builder::new().stack_size(STACK_LEN).spawn_scoped(scope, inside)?;
            // A panic inside is one of the plugin.
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
        .map_err(failed)
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
