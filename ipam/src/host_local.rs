//! The directory of the host-local plugin, as far as a node is switched over from it: who holds which address there,
//! and taking an address back.
//!
//! ```text
//! <dir>/10.244.0.5          "<containerID>\r\n<ifname>"; before interfaces were kept, "<containerID>"
//! <dir>/last_reserved_ip.0  the address that range set handed out last
//! <dir>/lock                whose flock(2) is held by whoever reads or changes any of it
//! ```
//!
//! Nothing is written but the lock where it is missing, and only what host-local would take back itself is removed, or
//! by GC what belongs to nobody: who switches back finds the rest as it was.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read},
    net::IpAddr,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use crate::{Attachment, Error};

/// Where host-local keeps its networks, unless it was told otherwise.
pub const DIR: &str = "/var/lib/cni/networks";

/// What an interface is taken to be called that was not noted: all runtimes of Kubernetes call it so.
const IFNAME: &str = "eth0";

const LOCK: &str = "lock";
const LAST_RESERVED: &str = "last_reserved_ip.";

/// More than any file that host-local writes.
const FILE_MAX: u64 = 4096;

/// The directory of one network, locked.
#[derive(Debug)]
pub(crate) struct HostLocal<'a> {
    dir: &'a Path,
    _lock: File,
}

/// An address that host-local has given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) ip: IpAddr,
    pub(crate) owner: Owner,
    pub(crate) path: PathBuf,
}

/// Whom a file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// An attachment.
    Attachment(Attachment),
    /// A container; which of its interfaces is a guess.
    Container(Attachment),
    /// Nobody. host-local died between making the file and writing it, so nobody was ever told that address.
    Nobody,
    /// Somebody, but it cannot be understood whom.
    Unclear(String),
}

/// What changes when something is added to a directory or removed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// Which directory it is.
    pub(crate) inode: (u64, u64),
    /// When it changed last, in nanoseconds since 1970.
    pub(crate) changed_ns: i128,
}

impl Owner {
    fn read(text: &str) -> Self {
        let mut lines = text.trim().lines().map(str::trim);
        let (container_id, ifname, more) = (lines.next().unwrap_or_default(), lines.next(), lines.next());
        if container_id.is_empty() {
            return Self::Nobody;
        }
        if more.is_some() {
            return Self::Unclear("has more than two lines".to_owned());
        }
        match Attachment::new(container_id, ifname.unwrap_or(IFNAME)) {
            Err(e) => Self::Unclear(e.to_string()),
            Ok(attachment) if ifname.is_some() => Self::Attachment(attachment),
            Ok(attachment) => Self::Container(attachment),
        }
    }
}

impl State {
    /// The state of `dir`; none if there is no such directory.
    pub(crate) fn of(dir: &Path) -> Result<Option<Self>, Error> {
        match fs::metadata(dir) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("reading", dir)(e)),
            Ok(metadata) => {
                let changed_ns = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
                Ok(Some(Self { inode: (metadata.dev(), metadata.ino()), changed_ns }))
            }
        }
    }
}

impl<'a> HostLocal<'a> {
    /// Waits until no host-local is at work in `dir`, and keeps them waiting; none if there is no such directory.
    pub(crate) fn lock(dir: &'a Path) -> Result<Option<Self>, Error> {
        let path = dir.join(LOCK);
        // host-local makes this file, too, where it is not there yet.
        match OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("opening", path)(e)),
            Ok(lock) => {
                lock.lock().map_err(Error::io("locking", path))?;
                Ok(Some(Self { dir, _lock: lock }))
            }
        }
    }

    /// The directory's state.
    pub(crate) fn state(&self) -> Result<Option<State>, Error> {
        State::of(self.dir)
    }

    /// Every address that was given out, in order.
    pub(crate) fn leases(&self) -> Result<Vec<Lease>, Error> {
        let mut ips: Vec<IpAddr> = self.names()?.iter().filter_map(|name| name.parse().ok()).collect();
        ips.sort();
        Ok(ips.into_iter().filter_map(|ip| self.lease(ip)).collect())
    }

    /// Who holds `ip`; none if nobody was given it.
    pub(crate) fn lease(&self, ip: IpAddr) -> Option<Lease> {
        let path = self.dir.join(ip.to_string());
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(FILE_MAX).read_to_end(&mut bytes));
        let owner = match read {
            Err(e) if e.kind() == ErrorKind::NotFound => return None,
            Err(e) => Owner::Unclear(e.to_string()),
            Ok(_) => Owner::read(&String::from_utf8_lossy(&bytes)),
        };
        Some(Lease { ip, owner, path })
    }

    /// What of `leases` host-local would take back for `attachment`: what is its own, or if there is no such thing, what
    /// is its container's.
    pub(crate) fn leases_of(leases: Vec<Lease>, attachment: &Attachment) -> Vec<Lease> {
        let is_own = |lease: &Lease| matches!(&lease.owner, Owner::Attachment(owner) if owner == attachment);
        let (own, others): (Vec<_>, Vec<_>) = leases.into_iter().partition(is_own);
        if !own.is_empty() {
            return own;
        }
        let is_containers = |lease: &Lease| {
            matches!(&lease.owner, Owner::Container(owner)
            if owner.container_id() == attachment.container_id())
        };
        others.into_iter().filter(is_containers).collect()
    }

    /// The address that each range set handed out last.
    pub(crate) fn last_reserved(&self) -> Result<Vec<(usize, IpAddr)>, Error> {
        let last = |name: &String| {
            let set = name.strip_prefix(LAST_RESERVED)?.parse().ok()?;
            Some((set, fs::read_to_string(self.dir.join(name)).ok()?.trim().parse().ok()?))
        };
        Ok(self.names()?.iter().filter_map(last).collect())
    }

    /// Takes an address back.
    pub(crate) fn remove(lease: &Lease) -> Result<(), Error> {
        match fs::remove_file(&lease.path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("removing", &lease.path)(e)),
            _ => Ok(()),
        }
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        names(self.dir)
    }
}

/// The first directory in `dir` that looks like a network's, unless `dir` looks like one itself.
pub(crate) fn network_below(dir: &Path) -> Result<Option<String>, Error> {
    let is_network = |names: &[String]| names.iter().any(|name| name.parse::<IpAddr>().is_ok());
    let own = names(dir)?;
    if is_network(&own) {
        return Ok(None);
    }
    Ok(own.into_iter().find(|name| names(&dir.join(name)).is_ok_and(|names| is_network(&names))))
}

fn names(dir: &Path) -> Result<Vec<String>, Error> {
    let names = fs::read_dir(dir).and_then(|listing| {
        listing.map(|item| item.map(|item| item.file_name().to_string_lossy().into_owned())).collect()
    });
    names.map_err(Error::io("listing", dir))
}

#[cfg(test)]
mod tests;
