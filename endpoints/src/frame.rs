//! Frames: four bytes of length, most significant first, and so many bytes of JSON.
//!
//! Invariant: no more is ever kept than one frame and what was read with it. A length that is too large is refused as
//! soon as it is read, before anything is kept for it.

use serde::{Serialize, de::DeserializeOwned};

use crate::Error;

/// The longest frame, without its length.
pub const MAX_BYTES: usize = 64 * 1024;

/// Bytes of the length.
const HEADER: usize = 4;

/// Appends a message to what is to be sent.
pub fn encode(message: &impl Serialize, out: &mut Vec<u8>) -> Result<(), Error> {
    let body = serde_json::to_vec(message).map_err(Error::Encode)?;
    let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= MAX_BYTES);
    let length = length.ok_or(Error::TooLong(body.len()))?;
    out.extend(length.to_be_bytes());
    out.extend(body);
    Ok(())
}

/// What was received, until it is a whole frame.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
}

impl Decoder {
    /// Adds bytes as they came.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether a frame has begun that is not whole.
    #[must_use]
    pub fn is_midway(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Takes the next frame out, if it is there as a whole; `expected` says in an error what it should have been.
    /// After an error nothing that follows has a meaning.
    pub fn next<T: DeserializeOwned>(&mut self, expected: &'static str) -> Result<Option<T>, Error> {
        let Some((header, rest)) = self.buffer.split_first_chunk::<HEADER>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(*header)).unwrap_or(usize::MAX);
        if length > MAX_BYTES {
            return Err(Error::TooLong(length));
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let message = serde_json::from_slice(body).map_err(|source| Error::Frame { expected, source })?;
        self.buffer.drain(..HEADER + length);
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(length: u32, body: &[u8]) -> Vec<u8> {
        length.to_be_bytes().iter().chain(body).copied().collect()
    }

    /// What a decoder makes of bytes that come in pieces of this size.
    fn decode(bytes: &[u8], piece: usize) -> Result<Vec<String>, String> {
        let mut decoder = Decoder::default();
        let mut found = Vec::new();
        for piece in bytes.chunks(piece) {
            decoder.extend(piece);
            while let Some(text) = decoder.next::<String>("a text").map_err(|e| e.to_string())? {
                found.push(text);
            }
        }
        Ok(found)
    }

    #[test]
    fn frames_are_told_apart_however_they_are_cut() {
        let mut bytes = Vec::new();
        for text in ["", "a", "two"] {
            encode(&text, &mut bytes).unwrap();
        }
        for piece in 1..=bytes.len() {
            assert_eq!(decode(&bytes, piece).unwrap(), ["", "a", "two"]);
        }
    }

    #[test]
    fn what_is_no_frame_is_refused_by_name() {
        let table: [(&str, Vec<u8>, Result<usize, &str>); 9] = [
            ("nothing", vec![], Ok(0)),
            ("half a length", vec![0, 0], Ok(0)),
            ("a length alone", framed(3, b""), Ok(0)),
            ("half a frame", framed(4, b"\"a"), Ok(0)),
            ("an empty frame", framed(0, b""), Err("not a text: EOF")),
            ("a huge length", framed(u32::MAX, b""), Err("a frame of 4294967295 bytes; at most 65536")),
            ("one byte too long", framed(65537, b""), Err("a frame of 65537 bytes")),
            ("garbage", framed(3, b"\xff\x00{"), Err("not a text: ")),
            ("two documents in one", framed(6, b"\"a\"\"b\""), Err("not a text: trailing characters")),
        ];
        for (what, bytes, expected) in table {
            let found = decode(&bytes, 7).map(|frames| frames.len());
            match (&found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(*found, expected, "{what}"),
                (Err(error), Err(part)) => assert!(error.contains(part), "{what}: {error}"),
                _ => panic!("{what}: {found:?}"),
            }
        }
    }

    #[test]
    fn the_longest_frame_passes_and_a_longer_one_is_not_sent() {
        let text = "x".repeat(MAX_BYTES - 2);
        let mut bytes = Vec::new();
        encode(&text, &mut bytes).unwrap();
        assert_eq!(decode(&bytes, 1024).unwrap(), std::slice::from_ref(&text));
        let error = encode(&(text + "x"), &mut bytes).unwrap_err().to_string();
        assert!(error.starts_with("a frame of 65537 bytes"), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_keeping_more_than_a_frame(
            bytes in proptest::collection::vec(any::<u8>(), 0..200), piece in 1usize..50,
        ) {
            let mut decoder = Decoder::default();
            for piece in bytes.chunks(piece) {
                decoder.extend(piece);
                loop {
                    match decoder.next::<serde_json::Value>("JSON") {
                        Ok(Some(_)) => {}
                        Ok(None) => break,
                        Err(_) => return Ok(()),
                    }
                }
                prop_assert!(decoder.buffer.len() < MAX_BYTES + HEADER + piece.len());
            }
        }
    }
}
