//! What can go wrong between user space and the kernel's eBPF.

use std::{io, net::IpAddr, path::PathBuf};

use aya::{EbpfError, maps::MapError, pin::PinError, programs::ProgramError};

/// An operation on the data plane that failed, and the object it failed on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The pin directory could not be read or written.
    #[error("{}: cannot {what}: {source}", path.display())]
    Directory {
        /// What was tried.
        what: &'static str,
        /// On which directory or file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// Pins can only be made on a bpffs.
    #[error("{}: not on a bpffs; mount one with `mount -t bpf bpf /sys/fs/bpf`", path.display())]
    NotBpffs {
        /// The directory.
        path: PathBuf,
    },
    /// A pinned map is not what this version expects.
    #[error(
        "{}: pinned map has {property} {actual}, this version needs {expected}; \
         restart the agent with --replace-pins to start over with empty maps", path.display()
    )]
    PinMismatch {
        /// The pin.
        path: PathBuf,
        /// Which property differs.
        property: &'static str,
        /// What the code expects.
        expected: u64,
        /// What the kernel reports.
        actual: u64,
    },
    /// The embedded object could not be loaded.
    #[error("cannot load the eBPF object: {}", chain(.source))]
    Load {
        /// aya's word.
        source: Box<EbpfError>,
    },
    /// The embedded object has no program of this name: it was built from other sources than this binary.
    #[error("the eBPF object has no program {name}")]
    NoProgram {
        /// Its symbol.
        name: &'static str,
    },
    /// A program could not be loaded, opened or attached.
    #[error("program {name}: cannot {what}: {}", chain(.source))]
    Program {
        /// Its symbol.
        name: String,
        /// What was tried.
        what: &'static str,
        /// aya's word.
        source: Box<ProgramError>,
    },
    /// A map could not be opened, read or written.
    #[error("map {name}: cannot {what}: {}", chain(.source))]
    Map {
        /// Its symbol.
        name: String,
        /// What was tried.
        what: &'static str,
        /// aya's word.
        source: Box<MapError>,
    },
    /// A batch operation failed part of the way.
    #[error("map {name}: {call} failed after {done} entries: {source}")]
    Batch {
        /// Its symbol.
        name: String,
        /// The bpf(2) command.
        call: &'static str,
        /// Entries handled before.
        done: usize,
        /// The system's word.
        source: io::Error,
    },
    /// A mapping between addresses of two families.
    #[error("port mapping: {host_ip} and {pod_ip} are not of one family")]
    MixedFamilies {
        /// The node's.
        host_ip: IpAddr,
        /// The pod's.
        pod_ip: IpAddr,
    },
    /// A link could not be given a filter, or be rid of it.
    #[error(transparent)]
    Netlink(#[from] caracal_netlink::Error),
    /// The kernel's clock could not be read.
    #[error("cannot read the clock that flows are stamped with: {0}")]
    Clock(#[source] io::Error),
    /// Events could not be read.
    #[error("events of the programs: cannot {what} them: {source}")]
    Events {
        /// What was tried.
        what: &'static str,
        /// The system's word.
        source: io::Error,
    },
    /// The buffer holds something else than events.
    #[error("map EVENTS: an event of {bytes} bytes is none of this version; run caracalctl of the agent's version")]
    EventSize {
        /// Its length.
        bytes: usize,
    },
    /// Each event is for one reader.
    #[error("{}: somebody else reads the events of this node (caracalctl monitor?); end that first", path.display())]
    EventsTaken {
        /// What the other one has locked.
        path: PathBuf,
    },
    /// Something could not be pinned.
    #[error("{}: cannot pin: {}", path.display(), chain(.source))]
    Pin {
        /// Where.
        path: PathBuf,
        /// aya's word.
        source: Box<PinError>,
    },
}

/// aya's errors keep the kernel's answer in their `source`; in one line it must be seen.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |e| e.source());
    let mut texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}

impl Error {
    pub(crate) fn directory(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Directory { what, path, source }
    }

    pub(crate) fn program(name: &str, what: &'static str) -> impl FnOnce(ProgramError) -> Self {
        move |source| Self::Program { name: name.to_owned(), what, source: Box::new(source) }
    }

    pub(crate) fn map(name: &str, what: &'static str) -> impl FnOnce(MapError) -> Self {
        move |source| Self::Map { name: name.to_owned(), what, source: Box::new(source) }
    }

    pub(crate) fn pin(path: impl Into<PathBuf>) -> impl FnOnce(PinError) -> Self {
        let path = path.into();
        move |source| Self::Pin { path, source: Box::new(source) }
    }
}
