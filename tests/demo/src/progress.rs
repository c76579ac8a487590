//! A line for every step, with what it took.

use std::time::Instant;

use anyhow::{Context as _, Result};

/// Says what is being done, does it, and says how long it took.
pub fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprint!("  … {what}");
    let began = Instant::now();
    let done = work().with_context(|| what.to_owned());
    let mark = if done.is_ok() { '✓' } else { '✗' };
    eprintln!("\r  {mark} {what} ({} ms)", began.elapsed().as_millis());
    done
}
