//! Connections that are kept open over what happens in between.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream},
    os::fd::AsFd as _,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use caracal_lab::{
    Site, in_netns,
    traffic::{Request, connect_tcp, path_mtu},
};
use nix::{
    libc,
    sys::socket::{setsockopt, sockopt::Linger},
};

const PATIENCE: Duration = Duration::from_secs(3);

/// A TCP connection from a pod or a machine to an echo server.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    seen_as: SocketAddr,
}

impl Connection {
    /// Opens one.
    pub fn open(from: &impl Site, to: impl Into<SocketAddr>) -> Result<Self> {
        Self::request(from, &Request::tcp(to))
    }

    /// Opens one from this port.
    pub fn open_from(from: &impl Site, port: u16, to: impl Into<SocketAddr>) -> Result<Self> {
        let to = to.into();
        let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        Self::request(from, &Request::tcp(to).from((any, port)))
    }

    fn request(from: &impl Site, request: &Request) -> Result<Self> {
        let to = request.to;
        let mut stream = in_netns(from.netns(), || connect_tcp(request)).flatten()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        // The server speaks first.
        let mut greeting = Vec::new();
        while greeting.last() != Some(&b'\n') {
            let mut byte = [0];
            ensure!(stream.read(&mut byte)? > 0, "{to} closed the connection");
            greeting.extend(byte);
        }
        let greeting: serde_json::Value = serde_json::from_slice(&greeting).context("the server's greeting")?;
        let seen_as = greeting["peer"].as_str().and_then(|peer| peer.parse().ok());
        let seen_as = seen_as.with_context(|| format!("{to} does not say whom it sees: {greeting}"))?;
        Ok(Self { stream, seen_as })
    }

    /// Fails unless `text` comes back.
    pub fn echo(&mut self, text: &[u8]) -> Result<()> {
        self.stream.write_all(text)?;
        let mut answer = vec![0; text.len()];
        self.stream.read_exact(&mut answer)?;
        ensure!(answer == text, "{} came back as {}", text.escape_ascii(), answer.escape_ascii());
        Ok(())
    }

    /// Sends so many bytes while it reads them back, and fails unless they are the same: both directions are busy at once,
    /// with segments as large as they get.
    pub fn transfer(&mut self, bytes: usize) -> Result<()> {
        let sent: Vec<u8> = (0..=250).cycle().take(bytes).collect();
        let mut received = vec![0; bytes];
        thread::scope(|scope| {
            let sending = scope.spawn(|| (&self.stream).write_all(&sent));
            let read = (&self.stream).read_exact(&mut received).context("reading back");
            if read.is_err() {
                // Wakes the sender, if it is stuck. Fails if the connection is gone already.
                let _ = self.stream.shutdown(Shutdown::Both);
            }
            let sending = sending.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            read.and_then(|()| sending.context("sending"))
        })?;
        ensure!(received == sent, "{bytes} bytes came back as others");
        Ok(())
    }

    /// The port it has on its own side.
    pub fn port(&self) -> Result<u16> {
        Ok(self.stream.local_addr()?.port())
    }

    /// The largest packet that its path takes, as far as the kernel knows.
    pub fn path_mtu(&self) -> Result<usize> {
        Ok(path_mtu(&self.stream, self.stream.peer_addr()?.is_ipv4())?)
    }

    /// The address that the server sees it come from.
    #[must_use]
    pub fn seen_as(&self) -> SocketAddr {
        self.seen_as
    }

    /// Says that nothing more will be sent, and fails unless the server then closes its side as well.
    pub fn finish(mut self) -> Result<()> {
        self.stream.shutdown(Shutdown::Write)?;
        ensure!(self.stream.read(&mut [0])? == 0, "the server goes on after the end");
        Ok(())
    }

    /// Ends it by RST.
    pub fn reset(self) -> Result<()> {
        let at_once = libc::linger { l_onoff: 1, l_linger: 0 };
        Ok(setsockopt(&self.stream.as_fd(), Linger, &at_once)?)
    }
}
