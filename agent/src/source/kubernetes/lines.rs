//! The events of a watch: one JSON object a line.

use std::{borrow::Cow, pin::Pin, time::Duration};

use futures_util::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::trouble::Trouble;

/// No object is so long: etcd takes 1.5 MiB.
const MOST_BYTES: u64 = 16 << 20;
/// A buffer that one long object has left is not kept.
const KEPT_BYTES: usize = 256 << 10;

/// A watch that is open.
pub struct Lines {
    reader: Pin<Box<dyn AsyncBufRead + Send>>,
    line: Vec<u8>,
}

/// An event as it comes.
#[derive(Debug, Deserialize)]
pub struct Event<'a> {
    /// `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` or `ERROR`.
    #[serde(rename = "type", borrow)]
    pub what: Cow<'a, str>,
    /// The object, or a `Status`.
    #[serde(borrow)]
    pub object: &'a RawValue,
}

impl Lines {
    pub fn new(reader: impl AsyncBufRead + Send + 'static) -> Self {
        Self { reader: Box::pin(reader), line: Vec::new() }
    }

    /// The next event; none at the end of the watch.
    pub async fn next(&mut self, within: Duration) -> Result<Option<Event<'_>>, Trouble> {
        self.line.clear();
        if self.line.capacity() > KEPT_BYTES {
            self.line = Vec::new();
        }
        let mut bounded = (&mut self.reader).take(MOST_BYTES);
        let read = timeout(within, bounded.read_until(b'\n', &mut self.line)).await;
        let bytes = read.ok().ok_or(Trouble::Quiet(within))??;
        if bytes == 0 {
            return Ok(None);
        }
        if self.line.last() != Some(&b'\n') {
            let what = if bytes as u64 == MOST_BYTES { "an event is too long" } else { "the connection was cut" };
            return Err(Trouble::Silent(what.to_owned()));
        }
        serde_json::from_slice(&self.line).map(Some).map_err(|error| Trouble::Garbled(error.to_string()))
    }
}
