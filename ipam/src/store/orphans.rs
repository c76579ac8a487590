//! Addresses whose entry is gone, which only a crash of the machine or a foreign hand can bring about.

use std::{
    fs::{self, File},
    io::ErrorKind,
    net::IpAddr,
    os::unix::fs::MetadataExt,
};

use super::{ATTACHMENTS, Store, fault};
use crate::{Error, gone::found};

impl Store {
    /// Removes every address that has no entry. An allocation in progress is safe: it names its entry first.
    /// So is what was here before we were.
    pub(crate) fn sweep_orphans(&self) -> Result<Vec<IpAddr>, Error> {
        let mut swept = Vec::new();
        if !self.dir.join(ATTACHMENTS).is_dir() {
            return Ok(swept);
        }
        for ip in self.taken()? {
            if self.sweep_orphan(ip)? {
                log::info!("{ip} had no entry and is free again");
                swept.push(ip);
            }
        }
        Ok(swept)
    }

    fn sweep_orphan(&self, ip: IpAddr) -> Result<bool, Error> {
        let path = self.address_path(ip);
        let reading = || Error::io("reading", &path);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.nlink() == 1 => {}
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(reading()(e)),
            _ => return Ok(false),
        }
        let file = match File::open(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
            file => file.map_err(reading())?,
        };
        file.lock().map_err(Error::io("locking", &path))?;
        // The name can lead to another inode by now, or this one have gained an entry.
        let locked = file.metadata().map_err(reading())?;
        let named = fs::symlink_metadata(&path).is_ok_and(|named| named.ino() == locked.ino());
        if locked.nlink() != 1 || !named {
            return Ok(false);
        }
        fault::point();
        found(fs::remove_file(&path)).map_err(Error::io("removing", &path))
    }
}
