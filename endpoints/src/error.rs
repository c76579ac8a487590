//! What can go wrong between plugin and agent.

use std::{io, path::PathBuf};

use crate::{Versions, frame::MAX_BYTES};

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No agent runs.
    #[error("no agent listens on {}", .0.display())]
    Away(PathBuf),
    /// The socket failed.
    #[error("{}: cannot {action}: {source}", socket.display())]
    Socket {
        /// What failed.
        action: &'static str,
        /// Where.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The agent did not answer in time.
    #[error("{}: no answer within {limit_ms} ms; is the agent overloaded or stopped?", socket.display())]
    Silent {
        /// Whom was asked.
        socket: PathBuf,
        /// For how long was waited.
        limit_ms: u128,
    },
    /// The other side hung up in the middle.
    #[error("{}: the agent hung up before it answered", .0.display())]
    HungUp(PathBuf),
    /// There is no version that both speak.
    #[error("the agent speaks {theirs} of the socket's protocol, this plugin {ours}; install both of one release")]
    Versions {
        /// The agent's.
        theirs: Versions,
        /// Our own.
        ours: Versions,
    },
    /// A frame that is longer than any may be.
    #[error("a frame of {0} bytes; at most {MAX_BYTES} are allowed")]
    TooLong(usize),
    /// A frame that does not say what it should.
    #[error("a frame that is not {expected}: {source}")]
    Frame {
        /// What was expected.
        expected: &'static str,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A message that cannot be written.
    #[error("a message cannot be written as JSON: {0}")]
    Encode(serde_json::Error),
    /// The queue of removals failed.
    #[error("{}: cannot {action}: {source}", path.display())]
    Queue {
        /// What failed.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The queue has no room.
    #[error("{}: {count} removals wait there for an agent, and no more may; start caracal-agent", path.display())]
    Full {
        /// The queue.
        path: PathBuf,
        /// How many wait.
        count: usize,
    },
}
