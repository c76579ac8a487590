//! What the plugin tells the agent of pods: over the agent's socket or, while no agent runs, by files that wait for one.
//!
//! * [`frame`]: JSON documents with their length before them, at most 64 KiB each; no input or output.
//! * [`message`]: what they say, and which versions of that are spoken.
//! * [`client`]: one connection, one round trip, within a time limit; synchronous, for the plugin has no runtime.
//! * [`queue`]: removals that nobody was there to hear.
//!
//! Nothing here decides anything about a pod: both sides work without the other.

#![forbid(unsafe_code)]

pub mod client;
pub mod frame;
pub mod message;
pub mod queue;

mod error;

use std::path::{Path, PathBuf};

pub use error::Error;
pub use message::{Answer, Hello, Registration, Removal, Request, Versions, Welcome};

/// The agent's socket in the directory that state is kept in.
#[must_use]
pub fn socket(run_dir: &Path) -> PathBuf {
    run_dir.join("agent.sock")
}

/// What an agent holds while it runs, in the same directory. It is there from the first agent since the machine started on.
#[must_use]
pub fn lock(run_dir: &Path) -> PathBuf {
    run_dir.join("agent.lock")
}
