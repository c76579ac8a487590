//! A typed hash map in the kernel, with the batch operations aya lacks.

use std::{
    marker::PhantomData,
    os::fd::{AsFd, BorrowedFd},
    path::Path,
};

use aya::{
    Pod,
    maps::{HashMap, IterableMap, Map, MapData, MapError},
};

use crate::{
    Error,
    sys::{self, Cursor},
};

/// Entries asked for in one batch call: large enough to make the call's cost disappear, small enough for the kernel
/// not to hold a CPU for long.
const BATCH: usize = 1024;

/// The kernel's own word for "this map cannot do that", which the C library does not know.
const ENOTSUPP: i32 = 524;

/// What is to be done with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revision<V> {
    /// Nothing.
    Keep,
    /// This is what it shall be.
    Replace(V),
    /// It shall not be there.
    Remove,
}

/// A hash or LRU hash whose key and value sizes were compared with `K` and `V` when it was opened.
#[derive(Debug)]
pub struct Table<K, V> {
    name: String,
    map: HashMap<MapData, K, V>,
    capacity: u32,
    types: PhantomData<(K, V)>,
}

impl<K: Pod + Default, V: Pod + Default> Table<K, V> {
    /// Opens a pinned map.
    pub fn open(pin: &Path) -> Result<Self, Error> {
        let name = pin.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let data = MapData::from_pin(pin).map_err(Error::map(&name, "open its pin"))?;
        Self::checked(name, pin, data)
    }

    fn checked(name: String, pin: &Path, data: MapData) -> Result<Self, Error> {
        let info = data.info().map_err(Error::map(&name, "ask the kernel about it"))?;
        let sizes = [("key size", size_of::<K>(), info.key_size()), ("value size", size_of::<V>(), info.value_size())];
        for (property, expected, actual) in sizes {
            if expected as u64 != u64::from(actual) {
                let (expected, actual) = (expected as u64, u64::from(actual));
                return Err(Error::PinMismatch { path: pin.to_owned(), property, expected, actual });
            }
        }
        let map =
            Map::from_map_data(data).and_then(HashMap::try_from).map_err(Error::map(&name, "use it as a hash"))?;
        Ok(Self { name, map, capacity: info.max_entries(), types: PhantomData })
    }

    /// The entry under `key`.
    pub fn get(&self, key: &K) -> Result<Option<V>, Error> {
        match self.map.get(key, 0) {
            Ok(value) => Ok(Some(value)),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(source) => Err(Error::map(&self.name, "look up an entry")(source)),
        }
    }

    /// Writes one entry, whether it was there or not.
    pub fn set(&mut self, key: &K, value: &V) -> Result<(), Error> {
        self.map.insert(key, value, 0).map_err(Error::map(&self.name, "write an entry"))
    }

    /// Writes one entry where there is one; tells whether there was. What others remove meanwhile stays removed.
    pub fn replace(&mut self, key: &K, value: &V) -> Result<bool, Error> {
        const BPF_EXIST: u64 = 2;

        match self.map.insert(key, value, BPF_EXIST) {
            Ok(()) => Ok(true),
            Err(MapError::SyscallError(e)) if e.io_error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            Err(source) => Err(Error::map(&self.name, "replace an entry")(source)),
        }
    }

    /// Goes over every entry and does to it what `judge` says. Returns how many were replaced or removed.
    pub fn revise(&mut self, judge: impl Fn(&K, &V) -> Revision<V>) -> Result<usize, Error> {
        let (mut replaced, mut removed) = (0, Vec::new());
        for (key, value) in self.entries()? {
            match judge(&key, &value) {
                Revision::Keep => {}
                Revision::Replace(value) => replaced += usize::from(self.replace(&key, &value)?),
                Revision::Remove => removed.push(key),
            }
        }
        Ok(replaced + self.remove_all(&removed)?)
    }

    /// Writes one entry where there is none; tells whether it could. It cannot either where the table is full.
    pub fn add(&mut self, key: &K, value: &V) -> Result<bool, Error> {
        const BPF_NOEXIST: u64 = 1;

        match self.map.insert(key, value, BPF_NOEXIST) {
            Ok(()) => Ok(true),
            Err(MapError::SyscallError(e)) if matches!(e.io_error.raw_os_error(), Some(libc::EEXIST | libc::E2BIG)) => {
                Ok(false)
            }
            Err(source) => Err(Error::map(&self.name, "add an entry")(source)),
        }
    }

    /// Removes one entry and returns what it was at that moment. Kernels before 5.14 cannot do that at once: there, what is
    /// written between the look-up and the removal is lost.
    pub fn take(&mut self, key: &K) -> Result<Option<V>, Error> {
        let mut value = V::default();
        match sys::lookup_and_delete(self.fd(), key, &mut value) {
            Ok(()) => Ok(Some(value)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | ENOTSUPP | libc::EOPNOTSUPP)) => {
                let value = self.get(key)?;
                Ok(if self.remove(key)? { value } else { None })
            }
            Err(source) => Err(self.batch_error("BPF_MAP_LOOKUP_AND_DELETE_ELEM", 0, source)),
        }
    }

    /// How many entries there is room for.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Removes one entry; tells whether it was there.
    pub fn remove(&mut self, key: &K) -> Result<bool, Error> {
        match self.map.remove(key) {
            Ok(()) => Ok(true),
            Err(MapError::KeyNotFound) => Ok(false),
            Err(MapError::SyscallError(e)) if e.io_error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            Err(source) => Err(Error::map(&self.name, "remove an entry")(source)),
        }
    }

    /// Every entry. Others may write meanwhile: what is there throughout is returned once.
    pub fn entries(&self) -> Result<Vec<(K, V)>, Error> {
        let (mut entries, mut walk) = (Vec::new(), Walk::new(BATCH));
        while !walk.is_finished() {
            entries.extend(self.read(&mut walk, entries.len())?);
        }
        Ok(entries)
    }

    /// Reads on where `walk` is. `done` entries were read before, for a message.
    pub(crate) fn read<'w>(
        &self,
        walk: &'w mut Walk<K, V>,
        done: usize,
    ) -> Result<impl Iterator<Item = (K, V)> + use<'w, K, V>, Error> {
        let batch = loop {
            match sys::lookup_batch(self.fd(), &mut walk.cursor, &mut walk.keys, &mut walk.values) {
                Ok(batch) => break batch,
                // One bucket holds more than we have room for.
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => walk.make_room(2 * walk.keys.len()),
                Err(source) => return Err(self.batch_error("BPF_MAP_LOOKUP_BATCH", done, source)),
            }
        };
        walk.finished = batch.finished;
        Ok(walk.keys.iter().copied().zip(walk.values.iter().copied()).take(batch.count))
    }

    /// Writes many entries.
    pub fn set_all(&mut self, entries: &[(K, V)]) -> Result<(), Error> {
        for (n, chunk) in entries.chunks(BATCH).enumerate() {
            let (keys, values): (Vec<K>, Vec<V>) = chunk.iter().copied().unzip();
            sys::update_batch(self.fd(), &keys, &values)
                .map_err(|source| self.batch_error("BPF_MAP_UPDATE_BATCH", n * BATCH, source))?;
        }
        Ok(())
    }

    /// Removes many entries; those that are not there are passed over. Returns how many were.
    pub fn remove_all(&mut self, keys: &[K]) -> Result<usize, Error> {
        let (mut position, mut removed) = (0, 0);
        while position < keys.len() {
            let chunk = &keys[position..keys.len().min(position + BATCH)];
            let batch = sys::delete_batch(self.fd(), chunk)
                .map_err(|source| self.batch_error("BPF_MAP_DELETE_BATCH", position, source))?;
            removed += batch.count;
            // The kernel stops at an entry that is not there: go on behind it.
            position += batch.count + usize::from(batch.finished);
        }
        Ok(removed)
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.map.map().fd().as_fd()
    }

    fn batch_error(&self, call: &'static str, done: usize, source: std::io::Error) -> Error {
        Error::Batch { name: self.name.clone(), call, done, source }
    }
}

/// A walk over a table in steps, between which others may write: what is there throughout is met once.
#[derive(Debug)]
pub(crate) struct Walk<K, V> {
    cursor: Cursor,
    keys: Vec<K>,
    values: Vec<V>,
    finished: bool,
}

impl<K: Copy + Default, V: Copy + Default> Walk<K, V> {
    /// From the beginning, with room for so many entries in one step.
    pub(crate) fn new(room: usize) -> Self {
        let mut walk = Self { cursor: Cursor::default(), keys: Vec::new(), values: Vec::new(), finished: false };
        walk.make_room(room);
        walk
    }

    /// More than before: the kernel gives whole buckets or none.
    pub(crate) fn make_room(&mut self, room: usize) {
        self.keys.resize(room, K::default());
        self.values.resize(room, V::default());
    }

    /// From the beginning again.
    pub(crate) fn rewind(&mut self) {
        (self.cursor, self.finished) = (Cursor::default(), false);
    }

    /// Whether the whole table has been seen.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }
}
