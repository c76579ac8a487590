//! An attachment's entry: made, filled, released. The order of its steps is the store's promise; see there.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read, Seek, Write},
    net::IpAddr,
    os::unix::fs::MetadataExt,
};

use super::{ATTACHMENTS, Store, fault, lines};
use crate::{Attachment, Error, gone::found, nameless};

/// An entry, locked.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    store: &'a Store,
    attachment: &'a Attachment,
    file: File,
}

impl<'a> Entry<'a> {
    /// Writes an entry that wants `addresses`, and names it. It holds none of them yet.
    pub(crate) fn create(store: &'a Store, attachment: &'a Attachment, addresses: &[IpAddr]) -> Result<Self, Error> {
        let mut entry = Self { store, attachment, file: nameless_file(store)? };
        let path = store.entry_path(attachment);
        // Nobody else has this inode, so there is nobody to wait for.
        entry.file.lock().map_err(Error::io("locking", &path))?;
        entry.write(&format!("{attachment}\n{}", lines(addresses)))?;
        fault::point();
        match nameless::name(&entry.file, &path) {
            Ok(()) => Ok(entry),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Err(Error::Duplicate(attachment.clone())),
            Err(e) => Err(Error::io("linking", path)(e)),
        }
    }

    /// Opens the attachment's entry, if there is one, after whoever is at work on it has finished.
    pub(crate) fn open(store: &'a Store, attachment: &'a Attachment) -> Result<Option<Self>, Error> {
        let path = store.entry_path(attachment);
        let file = match OpenOptions::new().read(true).append(true).open(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(Error::io("opening", &path))?,
        };
        file.lock().map_err(Error::io("locking", &path))?;
        let names = file.metadata().map_err(Error::io("reading", &path))?.nlink();
        Ok((names > 0).then_some(Self { store, attachment, file }))
    }

    /// Notes that the entry wants `ip` as well; to be done before it claims it.
    pub(crate) fn want(&mut self, ip: IpAddr) -> Result<(), Error> {
        self.write(&lines(&[ip]))
    }

    /// Takes `ip`, unless somebody holds it.
    pub(crate) fn claim(&self, ip: IpAddr) -> Result<bool, Error> {
        fault::point();
        let path = self.store.address_path(ip);
        match nameless::name(&self.file, &path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(Error::io("linking", path)(e)),
        }
    }

    /// The addresses it wants, or has once wanted; whatever it holds is among them.
    pub(crate) fn wanted(&mut self) -> Result<Vec<IpAddr>, Error> {
        let path = self.store.entry_path(self.attachment);
        let mut text = String::new();
        let read = self.file.rewind().and_then(|()| self.file.read_to_string(&mut text));
        read.map_err(Error::io("reading", &path))?;
        let mut wanted = Vec::new();
        for ip in text.lines().filter_map(|line| line.parse().ok()) {
            if !wanted.contains(&ip) {
                wanted.push(ip);
            }
        }
        Ok(wanted)
    }

    /// The addresses it holds.
    pub(crate) fn addresses(&mut self) -> Result<Vec<IpAddr>, Error> {
        let path = self.store.entry_path(self.attachment);
        let inode = self.file.metadata().map_err(Error::io("reading", &path))?.ino();
        let mut held = Vec::new();
        for ip in self.wanted()? {
            let path = self.store.address_path(ip);
            match fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.ino() == inode => held.push(ip),
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => return Err(Error::io("reading", path)(e)),
            }
        }
        Ok(held)
    }

    /// Gives back the addresses it holds, which now rest, and removes the entry.
    pub(crate) fn release(mut self) -> Result<Vec<IpAddr>, Error> {
        let held = self.addresses()?;
        self.store.rest(&held);
        self.remove(&held)?;
        Ok(held)
    }

    /// Undoes an allocation: `claimed` were never used, so they need no rest.
    pub(crate) fn abandon(self, claimed: &[IpAddr]) -> Result<(), Error> {
        self.remove(claimed)
    }

    fn remove(self, held: &[IpAddr]) -> Result<(), Error> {
        let addresses = held.iter().map(|ip| self.store.address_path(*ip));
        for path in addresses.chain([self.store.entry_path(self.attachment)]) {
            fault::point();
            found(fs::remove_file(&path)).map_err(Error::io("removing", path))?;
        }
        Ok(())
    }

    fn write(&mut self, text: &str) -> Result<(), Error> {
        fault::point();
        let path = self.store.entry_path(self.attachment);
        self.file.write_all(text.as_bytes()).map_err(Error::io("writing", path))
    }
}

/// A file in the store that has no name yet.
pub(super) fn nameless_file(store: &Store) -> Result<File, Error> {
    let dir = store.dir().join(ATTACHMENTS);
    match nameless::create(&dir) {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            store.prepare()?;
            nameless::create(&dir)
        }
        file => file,
    }
    .map_err(Error::io("creating a file in", dir))
}
