//! How full maps are.

use std::os::fd::{AsFd, BorrowedFd};

use aya::maps::{MapData, MapType};

use crate::{
    Error, Root,
    sys::{self, Cursor},
};

/// Entries asked for at a time.
const BATCH: u32 = 1024;

/// A map, and how much of it is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Its name.
    pub map: &'static str,
    /// How many entries it has.
    pub entries: u64,
    /// How many it has room for.
    pub capacity: u32,
}

/// Of the pinned maps with these names, those that are tables. Every entry is read: not for maps with a great many.
pub fn read(root: &Root, names: &[&'static str]) -> Result<Vec<Fill>, Error> {
    let fills = names.iter().map(|&map| {
        let data = MapData::from_pin(root.map(map)).map_err(Error::map(map, "open its pin"))?;
        let info = data.info().map_err(Error::map(map, "ask the kernel about it"))?;
        let is_table = matches!(info.map_type(), Ok(MapType::Hash | MapType::LruHash | MapType::LpmTrie));
        if !is_table {
            return Ok(None);
        }
        let entries = count(data.fd().as_fd(), info.key_size(), info.value_size());
        let entries = entries.map_err(|(done, source)| Error::Batch {
            name: map.to_owned(),
            call: "BPF_MAP_LOOKUP_BATCH",
            done,
            source,
        })?;
        Ok(Some(Fill { map, entries: entries as u64, capacity: info.max_entries() }))
    });
    fills.filter_map(Result::transpose).collect()
}

/// How many entries there are; with an error, how many were counted before it.
fn count(map: BorrowedFd<'_>, key_size: u32, value_size: u32) -> Result<usize, (usize, std::io::Error)> {
    let (mut cursor, mut entries, mut room) = (Cursor::default(), 0, BATCH);
    loop {
        match sys::count_batch(map, &mut cursor, room, key_size, value_size) {
            Ok(batch) if batch.finished => return Ok(entries + batch.count),
            Ok(batch) => entries += batch.count,
            // One bucket holds more than there is room for.
            Err(error) if error.raw_os_error() == Some(libc::ENOSPC) && room < u32::MAX / 2 => room *= 2,
            Err(error) => return Err((entries, error)),
        }
    }
}
