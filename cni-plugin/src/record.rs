//! What is kept about an attachment from the first step of ADD to the last of DEL.
//!
//! One file per attachment, `<runDir>/endpoints/<network>/<containerID>:<ifname>`, of lines that are each a whole
//! [`Record`]: the last complete one counts, and every step of ADD appends one. The first is there before anything else
//! is made, and the file is removed after everything else is gone, so what exists has a record that leads to it,
//! wherever a plugin was killed. Who works on an attachment holds the lock of its file; the kernel takes the lock away
//! from the dead, which tells an ADD that died from one that runs.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Read, Write},
    net::IpAddr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use caracal_ipam::{Attachment, nameless, protocol::Ip};
use serde::{Deserialize, Serialize};

use crate::bandwidth::Bandwidth;

mod survey;

pub use survey::{Known, survey};

/// How often a record may vanish just when it is looked at.
const ATTEMPTS: u32 = 100;

/// What ADD made, or is about to make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Record {
    /// The namespace of the container; for people.
    pub netns: String,
    /// The pod, as `namespace/name`; for people.
    pub pod: String,
    /// The interface is another plugin's: only the data plane is ours to undo.
    pub chained: bool,
    /// The host-side veth.
    pub host_ifname: String,
    /// Its number; none before it is made.
    pub host_ifindex: Option<u32>,
    /// Its hardware address.
    pub host_mac: String,
    /// The hardware address of the pod's end.
    pub pod_mac: String,
    /// The pod's addresses; none before the link is made.
    pub addresses: Vec<IpAddr>,
    /// The limits put on the link.
    pub bandwidth: Bandwidth,
    /// Ports of the node lead to the pod's.
    pub has_ports: bool,
    /// `ipam.type`: who gave the addresses.
    pub ipam: String,
    /// The addresses as another IPAM gave them, with its own prefixes and gateways.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<Ip>,
    /// Where our own IPAM took them from.
    pub data_dir: PathBuf,
    /// Where the data plane was pinned.
    pub bpffs: PathBuf,
    /// ADD succeeded.
    pub complete: bool,
}

/// A record file that failed.
#[derive(Debug, thiserror::Error)]
#[error("{action} {}: {source}", path.display())]
pub struct Error {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Error {
    fn new(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { action, path, source }
    }
}

/// A record file, locked.
#[derive(Debug)]
pub struct RecordFile {
    file: File,
    path: PathBuf,
    record: Record,
}

/// What became of the wish to begin an attachment.
#[derive(Debug)]
pub enum Begun {
    /// The record is there, and nothing else.
    New(RecordFile),
    /// There is one already, whose owner is done or dead.
    Existing(RecordFile),
    /// Somebody is at work on it.
    Busy,
}

impl RecordFile {
    /// Writes the first line of an attachment's record, unless there is a record.
    pub fn begin(dir: &Path, attachment: &Attachment, record: Record) -> Result<Begun, Error> {
        let path = dir.join(attachment.to_string());
        let file = match nameless::create(dir) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(dir).map_err(Error::new("creating", dir))?;
                nameless::create(dir)
            }
            file => file,
        };
        let mut new = Self { file: file.map_err(Error::new("creating a file in", dir))?, path, record };
        // Nobody else has this inode, so there is nobody to wait for.
        new.file.lock().map_err(Error::new("locking", &new.path))?;
        new.append()?;
        for _ in 0..ATTEMPTS {
            match nameless::name(&new.file, &new.path) {
                Ok(()) => return Ok(Begun::New(new)),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Error::new("linking", &new.path)(e)),
            }
            let Some(mut existing) = Self::open_unlocked(&new.path)? else { continue };
            match existing.file.try_lock() {
                Ok(()) if existing.is_named()? => {
                    existing.read()?;
                    return Ok(Begun::Existing(existing));
                }
                // Its owner removed it just now.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(Begun::Busy),
                Err(TryLockError::Error(e)) => return Err(Error::new("locking", &new.path)(e)),
            }
        }
        Ok(Begun::Busy)
    }

    /// Opens an attachment's record, if there is one, after whoever is at work on it has finished.
    pub fn open(dir: &Path, attachment: &Attachment) -> Result<Option<Self>, Error> {
        let Some(mut existing) = Self::open_unlocked(&dir.join(attachment.to_string()))? else { return Ok(None) };
        existing.file.lock().map_err(Error::new("locking", &existing.path))?;
        if !existing.is_named()? {
            return Ok(None);
        }
        existing.read()?;
        Ok(Some(existing))
    }

    /// The same without waiting: none too while somebody is at work on it.
    pub fn try_open(dir: &Path, attachment: &Attachment) -> Result<Option<Self>, Error> {
        let Some(mut existing) = Self::open_unlocked(&dir.join(attachment.to_string()))? else { return Ok(None) };
        match existing.file.try_lock() {
            Ok(()) if existing.is_named()? => {}
            Ok(()) | Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) => return Err(Error::new("locking", &existing.path)(e)),
        }
        existing.read()?;
        Ok(Some(existing))
    }

    /// Every attachment with a record.
    pub fn list(dir: &Path) -> Result<Vec<Attachment>, Error> {
        let listing = match fs::read_dir(dir) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            listing => listing.map_err(Error::new("listing", dir))?,
        };
        let names = listing.map(|item| Ok(item?.file_name().to_string_lossy().into_owned()));
        let names = names.collect::<io::Result<Vec<_>>>().map_err(Error::new("listing", dir))?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// What is known.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Changes what is known.
    pub fn update(&mut self, change: impl FnOnce(&mut Record)) -> Result<(), Error> {
        change(&mut self.record);
        self.append()
    }

    /// Removes the record: nothing is left of the attachment.
    pub fn remove(self) -> Result<(), Error> {
        match fs::remove_file(&self.path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::new("removing", &self.path)(e)),
            _ => Ok(()),
        }
    }

    fn open_unlocked(path: &Path) -> Result<Option<Self>, Error> {
        match OpenOptions::new().read(true).append(true).open(path) {
            Ok(file) => Ok(Some(Self { file, path: path.to_owned(), record: Record::default() })),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::new("opening", path)(e)),
        }
    }

    /// Whether the file still has its name, that is, the attachment has not been taken apart meanwhile.
    fn is_named(&self) -> Result<bool, Error> {
        Ok(self.file.metadata().map_err(Error::new("reading", &self.path))?.nlink() > 0)
    }

    fn read(&mut self) -> Result<(), Error> {
        self.record = self.last()?.unwrap_or_else(|| {
            log::warn!("{}: not a record; what it stood for is looked for by name", self.path.display());
            Record::default()
        });
        Ok(())
    }

    fn last(&mut self) -> Result<Option<Record>, Error> {
        let mut text = String::new();
        self.file.read_to_string(&mut text).map_err(Error::new("reading", &self.path))?;
        // A line can be cut short only by a crash of the machine or a full disk; the one before it holds then.
        Ok(text.lines().rev().find_map(|line| serde_json::from_str(line).ok()))
    }

    fn append(&mut self) -> Result<(), Error> {
        let line = serde_json::to_string(&self.record).map_err(io::Error::from);
        let written = line.and_then(|line| self.file.write_all(format!("{line}\n").as_bytes()));
        written.map_err(Error::new("writing", &self.path))
    }
}

#[cfg(test)]
mod tests;
