//! Files that may be gone already.

use std::io::{self, ErrorKind};

/// Whether something was there to be done; a file that is already gone is nothing to be done.
pub(crate) fn found(outcome: io::Result<()>) -> io::Result<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}
