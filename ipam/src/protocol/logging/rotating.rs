//! A log file that many processes write to and rotate at once.
//!
//! A line is one `write(2)` to a file opened with `O_APPEND`, so lines neither mix nor overwrite each other. Who finds
//! the file full takes its lock (flock(2) of the inode that has the name), looks again whether that is still the inode
//! of the name, and renames: the old ones one further, then the full one onto `.1`. Whoever has opened the full one
//! before writes to it under its new name; nothing is copied or cut off, so no line is lost.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::gone::found;

/// How often the file may be rotated by others just when a line is to be written.
const ATTEMPTS: u32 = 16;

/// How many old files are looked for beyond those that are to be kept, after their number was lowered.
const SURPLUS: u64 = 64;

/// When a log file is put aside, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rotation {
    pub(super) path: PathBuf,
    /// The next line would make it longer: it is full.
    pub(super) max_bytes: u64,
    /// Old files are removed after this time, if at all.
    pub(super) max_age_secs: Option<u64>,
    /// How many old files are kept: `.1`, the youngest, to this number.
    pub(super) max_count: u64,
}

/// The file to write to.
#[derive(Debug)]
pub(super) struct LogFile {
    rotation: Rotation,
    file: File,
    complained: bool,
}

impl LogFile {
    /// Opens the file, which is made if it is not there, and removes old ones whose time has come.
    pub(super) fn open(rotation: Rotation) -> Result<Self, String> {
        let say = |e: io::Error| format!("logFile: {}: {e}; nothing is logged to a file", rotation.path.display());
        let opened = match open(&rotation.path) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let made = rotation.path.parent().map_or(Ok(()), fs::create_dir_all);
                made.and_then(|()| open(&rotation.path))
            }
            opened => opened,
        };
        let file = opened.map_err(say)?;
        let mut log = Self { rotation, file, complained: false };
        if let Err(e) = log.expire() {
            log.complain(&e);
        }
        Ok(log)
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        for _ in 0..ATTEMPTS {
            if !self.has_name()? {
                self.file = open(&self.rotation.path)?;
            }
            let length = self.file.metadata()?.len();
            // A line that no file would have room for gets one of its own.
            if length == 0 || length + line.len() as u64 <= self.rotation.max_bytes {
                break;
            }
            self.rotate()?;
        }
        self.file.write_all(line)
    }

    /// Whether the name still leads to the file that is open.
    fn has_name(&self) -> io::Result<bool> {
        match fs::metadata(&self.rotation.path) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
            Ok(named) => {
                let open = self.file.metadata()?;
                Ok((named.dev(), named.ino()) == (open.dev(), open.ino()))
            }
        }
    }

    /// Puts the file aside, unless somebody else has.
    fn rotate(&self) -> io::Result<()> {
        self.file.lock()?;
        let rotated = self.has_name().and_then(|has_name| if has_name { self.shift() } else { Ok(()) });
        self.file.unlock()?;
        rotated
    }

    /// Everything one further. Only under the lock of the file that has the name.
    fn shift(&self) -> io::Result<()> {
        let Rotation { path, max_count, .. } = &self.rotation;
        let surplus = (*max_count..=max_count.saturating_add(SURPLUS)).skip(1);
        for number in surplus {
            if !found(fs::remove_file(numbered(path, number)))? {
                break;
            }
        }
        if *max_count == 0 {
            return found(fs::remove_file(path)).map(drop);
        }
        // As far as there are any; the last one is renamed over.
        let mut last = 1;
        while last < *max_count && numbered(path, last).exists() {
            last += 1;
        }
        for number in (1..last).rev() {
            found(fs::rename(numbered(path, number), numbered(path, number + 1)))?;
        }
        found(fs::rename(path, numbered(path, 1))).map(drop)
    }

    /// Removes the old files whose time has come.
    fn expire(&self) -> io::Result<()> {
        let Some(max_age_secs) = self.rotation.max_age_secs else { return Ok(()) };
        let Some(limit) = SystemTime::now().checked_sub(Duration::from_secs(max_age_secs)) else { return Ok(()) };
        let is_old = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).is_ok_and(|time| time < limit);
        let mut old = (1..=self.rotation.max_count.min(SURPLUS)).map(|number| numbered(&self.rotation.path, number));
        if !old.any(|path| is_old(&path)) {
            return Ok(());
        }
        // Numbers change their files while somebody rotates.
        self.file.lock()?;
        let mut outcome = Ok(());
        if self.has_name()? {
            for path in (1..=self.rotation.max_count.min(SURPLUS)).map(|number| numbered(&self.rotation.path, number)) {
                if is_old(&path) {
                    outcome = outcome.and(found(fs::remove_file(path)).map(drop));
                }
            }
        }
        self.file.unlock()?;
        outcome
    }

    fn complain(&mut self, error: &io::Error) {
        if !self.complained {
            self.complained = true;
            eprintln!("logFile: {}: {error}", self.rotation.path.display());
        }
    }
}

impl Write for LogFile {
    /// Always takes the whole line: whoever logs cannot do anything about a full disk.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(e) = self.append(line) {
            self.complain(&e);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn numbered(path: &Path, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests;
