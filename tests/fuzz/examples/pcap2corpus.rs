//! Turns a capture into seeds: `pcap2corpus <file.pcap> <directory>` writes one file per frame, duplicates once.
//!
//! Reads what `tcpdump -w` writes: classic pcap in either byte order, with the link type Ethernet. The name of a file
//! is a hash of its bytes, so that the same frame out of two captures is one seed.

use std::{
    collections::hash_map::DefaultHasher,
    env,
    error::Error,
    fs,
    hash::{Hash, Hasher},
    path::PathBuf,
};

const ETHERNET: u32 = 1;

fn main() -> Result<(), Box<dyn Error>> {
    let [capture, directory] = &env::args_os().skip(1).map(PathBuf::from).collect::<Vec<_>>()[..] else {
        return Err("usage: pcap2corpus <file.pcap> <directory>".into());
    };
    fs::create_dir_all(directory)?;
    let bytes = fs::read(capture)?;
    for frame in frames(&bytes)? {
        let mut hasher = DefaultHasher::new();
        frame.hash(&mut hasher);
        fs::write(directory.join(format!("{:016x}", hasher.finish())), frame)?;
    }
    Ok(())
}

/// The frames of a capture file.
fn frames(mut bytes: &[u8]) -> Result<Vec<&[u8]>, Box<dyn Error>> {
    let header = take(&mut bytes, 24).ok_or("shorter than a pcap header")?;
    // Time stamps in micro- or nanoseconds; the order of the magic's bytes is that of all numbers.
    let number: fn([u8; 4]) -> u32 = match header[..4] {
        [0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1] => u32::from_le_bytes,
        [0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d] => u32::from_be_bytes,
        _ => return Err("not a classic pcap file; tcpdump and editcap -F pcap write them".into()),
    };
    let word = |bytes: &[u8], at: usize| number([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    // The upper bits say whether frames end in a checksum.
    let link_type = word(header, 20) & 0xffff;
    if link_type != ETHERNET {
        return Err(format!("link type {link_type}, not Ethernet: capture on an interface, not on \"any\"").into());
    }
    let mut frames = Vec::new();
    while let Some(record) = take(&mut bytes, 16) {
        let len = usize::try_from(word(record, 8))?;
        frames.push(take(&mut bytes, len).ok_or("the last frame is cut off")?);
    }
    Ok(frames)
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(taken)
}
