//! Who holds which address, as files.
//!
//! ```text
//! <dir>/10.244.0.5                         an address that is held
//! <dir>/attachments/<containerID>:<ifname> the entry of an attachment: its name, then the addresses it wants
//! <dir>/released/<period>                  addresses given back in that period, in order
//! <dir>/cursor/<set>                       the address that range set handed out last
//! <dir>/host-local                         the state of host-local's directory when it was imported last
//! ```
//!
//! An entry and the addresses it holds are **one inode under several names**. That an address belongs to an attachment
//! is the fact that both names lead to the same inode; the text in it is only where to look.
//!
//! *Claiming.* The entry is written in full without a name (`O_TMPFILE`), locked, and then given its names with
//! `link(2)`, which fails if the name exists: first the entry's, then one per address. Two who want an address cannot
//! both win, and nobody sees a half-written file. An address is appended to the entry before it is linked.
//!
//! *Releasing.* With the entry locked, each address that leads to the entry's inode is noted as given back and
//! unlinked, and the entry last. Only who holds the entry's lock removes names of its inode, so nothing can change
//! between looking at an address and unlinking it. No lock is shared between attachments.
//!
//! *Killed at any instruction.* The lock and a nameless inode go with the process. Whatever names the inode has, the
//! entry's is among them and says where the others are, so releasing again finishes the work: nothing leaks. An address
//! has at most one inode, so it is never held twice. A note about an address that was not unlinked after all costs that
//! address a place in the queue, no more.
//!
//! Nothing is synced: the store outlives processes, not the machine, and a crash of the machine ends all sandboxes. On
//! a `dataDir` that survives it, what is left over is released by the runtime's DEL or GC, addresses whose entry was
//! lost included: they have a single name, which no other address ever has.
//!
//! `released` and `cursor` are hints about order. Losing them, or two who write them at once, cannot hand out an
//! address twice. Losing `host-local` has an import done again that changes nothing.

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read},
    net::IpAddr,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use crate::{Attachment, Error, host_local::State, nameless};

mod cooling;
mod entry;
mod fault;
mod orphans;

pub use cooling::Cooldown;
pub(crate) use entry::Entry;
#[cfg(test)]
pub(crate) use fault::test::kill_after;

const ATTACHMENTS: &str = "attachments";
const CURSOR: &str = "cursor";
const IMPORTED: &str = "host-local";
const RELEASED: &str = "released";

/// Length of a cursor file: the longest address fits, and a shorter one leaves nothing of it behind.
const CURSOR_LEN: usize = 40;

/// The store of one network.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
    cooldown: Cooldown,
}

impl Store {
    /// The store in `dir`, which need not exist yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), cooldown: Cooldown::default() }
    }

    /// The same store with another rule for how long addresses rest.
    #[must_use]
    pub fn with_cooldown(self, cooldown: Cooldown) -> Self {
        Self { cooldown, ..self }
    }

    /// Where it is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Every address that is held, by whatever file: what cannot be understood is nobody else's either.
    pub fn taken(&self) -> Result<HashSet<IpAddr>, Error> {
        Ok(self.names("")?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Every attachment with an entry.
    pub fn attachments(&self) -> Result<Vec<Attachment>, Error> {
        Ok(self.names(ATTACHMENTS)?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    fn names(&self, sub: &str) -> Result<Vec<String>, Error> {
        let dir = self.dir.join(sub);
        let listing = match fs::read_dir(&dir) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            listing => listing.map_err(Error::io("listing", &dir))?,
        };
        let names = listing.map(|item| item.map(|item| item.file_name().to_string_lossy().into_owned()));
        names.collect::<Result<_, _>>().map_err(Error::io("listing", &dir))
    }

    /// The address that range set number `set` handed out last.
    pub(crate) fn cursor(&self, set: usize) -> Option<IpAddr> {
        let mut text = String::with_capacity(CURSOR_LEN);
        File::open(self.cursor_path(set)).ok()?.take(CURSOR_LEN as u64).read_to_string(&mut text).ok()?;
        text.trim().parse().ok()
    }

    /// Remembers the address that range set number `set` handed out last.
    pub(crate) fn set_cursor(&self, set: usize, ip: IpAddr) {
        fault::point();
        let path = self.cursor_path(set);
        let text = format!("{:<width$}\n", ip.to_string(), width = CURSOR_LEN - 1);
        let written = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        if let Err(e) = written.and_then(|file| file.write_all_at(text.as_bytes(), 0)) {
            log::warn!("{}: {e}; addresses may come back sooner", path.display());
        }
    }

    /// The state of host-local's directory at the last import that was finished.
    pub(crate) fn imported(&self) -> Option<State> {
        let text = fs::read_to_string(self.dir.join(IMPORTED)).ok()?;
        let mut words = text.strip_suffix('\n')?.split(' ');
        let mut word = || words.next();
        let inode = (word()?.parse().ok()?, word()?.parse().ok()?);
        Some(State { inode, changed_ns: word()?.parse().ok()? })
    }

    /// Remembers the state of host-local's directory at an import.
    pub(crate) fn set_imported(&self, state: State) {
        fault::point();
        let path = self.dir.join(IMPORTED);
        let text = format!("{} {} {}\n", state.inode.0, state.inode.1, state.changed_ns);
        if let Err(e) = self.prepare().map_err(io::Error::other).and_then(|()| fs::write(&path, text)) {
            log::warn!("{}: {e}; host-local's addresses are looked through again", path.display());
        }
    }

    /// Takes `ip` without an owner, unless it is taken.
    pub(crate) fn hold_for_nobody(&self, ip: IpAddr) -> Result<(), Error> {
        let file = entry::nameless_file(self)?;
        fault::point();
        let path = self.address_path(ip);
        match nameless::name(&file, &path) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(Error::io("linking", path)(e)),
            _ => Ok(()),
        }
    }

    fn cursor_path(&self, set: usize) -> PathBuf {
        self.dir.join(CURSOR).join(set.to_string())
    }

    fn address_path(&self, ip: IpAddr) -> PathBuf {
        self.dir.join(ip.to_string())
    }

    fn entry_path(&self, attachment: &Attachment) -> PathBuf {
        self.dir.join(ATTACHMENTS).join(attachment.to_string())
    }

    /// Makes the directories where they are not yet, the one that entries are made in last: where it is, they all are.
    pub(crate) fn prepare(&self) -> Result<(), Error> {
        let is_prepared = || self.dir.join(ATTACHMENTS).is_dir();
        if is_prepared() {
            return Ok(());
        }
        // Ours come after the directories, which another process may have made just now.
        if !self.taken()?.is_empty() && !is_prepared() {
            return Err(Error::Foreign(self.dir.display().to_string()));
        }
        for sub in [CURSOR, RELEASED, ATTACHMENTS] {
            fault::point();
            let dir = self.dir.join(sub);
            fs::create_dir_all(&dir).map_err(Error::io("creating", &dir))?;
        }
        Ok(())
    }
}

/// One address to a line.
fn lines(addresses: &[IpAddr]) -> String {
    addresses.iter().flat_map(|ip| [ip.to_string(), "\n".to_owned()]).collect()
}

#[cfg(test)]
mod tests;
