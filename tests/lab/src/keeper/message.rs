//! What owner and keeper say to each other: one JSON document per packet of a `SOCK_SEQPACKET` pair.

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
    path::PathBuf,
};

use nix::sys::socket::{MsgFlags, recv, send};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// More than any message has; a longer one would be cut off, and is refused.
const LONGEST: usize = 128 * 1024;

/// A machine that the keeper shall start.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MachineOrder {
    pub(crate) name: String,
    pub(crate) visible: Vec<PathBuf>,
    pub(crate) forwards: bool,
    pub(crate) hosts: String,
}

/// From the owner.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum Request {
    /// Start these machines. After a failure the lab is of no use but to be ended.
    Start(Vec<MachineOrder>),
    /// Live on without the owner, until SIGTERM.
    Detach,
    /// End everything, then answer and exit. Closing the connection does the same without an answer.
    End,
}

/// From the keeper: one at its start, one to each request.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum Answer {
    /// Done.
    Done,
    /// The machines run; pids of their inits, in the order asked for.
    Started(Vec<i32>),
    /// Not done.
    Failed(String),
}

/// Sends one message.
pub(crate) fn send_message(socket: impl AsFd, message: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    if text.len() > LONGEST {
        return Err(io::Error::other("message to the keeper is too long"));
    }
    // MSG_NOSIGNAL: the other side may be dead, which is an error to report and nothing to die of.
    send(socket.as_fd().as_raw_fd(), &text, MsgFlags::MSG_NOSIGNAL)?;
    Ok(())
}

/// Receives one message; `None` when the other side is gone.
pub(crate) fn receive_message<T: DeserializeOwned>(socket: impl AsFd) -> io::Result<Option<T>> {
    let mut buffer = vec![0; LONGEST];
    let len = recv(socket.as_fd().as_raw_fd(), &mut buffer, MsgFlags::empty())?;
    if len == 0 {
        return Ok(None);
    }
    buffer.truncate(len);
    Ok(Some(serde_json::from_slice(&buffer)?))
}
