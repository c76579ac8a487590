//! Connections that are kept open over what happens in between.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Result, ensure};
use caracal_lab::{Pod, Site, in_netns};

const PATIENCE: Duration = Duration::from_secs(3);

/// A TCP connection from a pod to an echo server.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
}

impl Connection {
    /// Opens one.
    pub fn open(from: &Pod, to: impl Into<SocketAddr>) -> Result<Self> {
        let to = to.into();
        let mut stream = in_netns(from.netns(), || TcpStream::connect_timeout(&to, PATIENCE)).flatten()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // The server speaks first.
        let mut greeting = [0; 4096];
        ensure!(stream.read(&mut greeting)? > 0, "{to} closed the connection");
        Ok(Self { stream })
    }

    /// Fails unless `text` comes back.
    pub fn echo(&mut self, text: &[u8]) -> Result<()> {
        self.stream.write_all(text)?;
        let mut answer = vec![0; text.len()];
        self.stream.read_exact(&mut answer)?;
        ensure!(answer == text, "{} came back as {}", text.escape_ascii(), answer.escape_ascii());
        Ok(())
    }

    /// The port it has on its pod's side.
    pub fn port(&self) -> Result<u16> {
        Ok(self.stream.local_addr()?.port())
    }
}
