//! Any bytes on the agent's socket, in pieces as they may come: what is read must be the same however they are cut, what
//! is understood must be understood again when it is written down, and an error must name what it is about.

#![no_main]

use caracal_endpoints::{
    Answer, Error, Hello, Request, Welcome,
    frame::{Decoder, encode},
};
use libfuzzer_sys::fuzz_target;
use serde::{Serialize, de::DeserializeOwned};

fuzz_target!(|input: &[u8]| {
    // The first byte says how the others are cut, and the second, which side reads.
    let [piece, side, bytes @ ..] = input else { return };
    let piece = usize::from(*piece) + 1;
    if side % 2 == 0 { check::<Hello, Request>(bytes, piece) } else { check::<Welcome, Answer>(bytes, piece) }
});

fn check<First: Message, Next: Message>(bytes: &[u8], piece: usize) {
    let whole = read::<First, Next>(bytes, bytes.len().max(1));
    assert_eq!(whole, read::<First, Next>(bytes, piece), "in pieces of {piece} bytes");
}

trait Message: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug {}

impl<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug> Message for T {}

/// What is understood, and the error if one ends it.
fn read<First: Message, Next: Message>(bytes: &[u8], piece: usize) -> (Vec<String>, Option<String>) {
    let (mut decoder, mut found) = (Decoder::default(), Vec::new());
    for piece in bytes.chunks(piece) {
        decoder.extend(piece);
        loop {
            let next = if found.is_empty() {
                decoder.next::<First>("a greeting").map(|it| it.map(again))
            } else {
                decoder.next::<Next>("a message").map(|it| it.map(again))
            };
            match next {
                Ok(Some(message)) => found.push(message),
                Ok(None) => break,
                Err(error) => {
                    let is_named = matches!(error, Error::TooLong(_) | Error::Frame { .. });
                    assert!(is_named, "{error}");
                    return (found, Some(error.to_string()));
                }
            }
        }
    }
    (found, None)
}

/// A message written down and read again.
fn again<T: Message>(message: T) -> String {
    let mut bytes = Vec::new();
    // Texts may grow when they are escaped.
    if encode(&message, &mut bytes).is_err() {
        return format!("{message:?}");
    }
    let mut decoder = Decoder::default();
    decoder.extend(&bytes);
    assert_eq!(decoder.next::<T>("itself").unwrap(), Some(message));
    String::from_utf8_lossy(&bytes[4..]).into_owned()
}
