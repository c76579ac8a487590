//! One request to an echo server, and its outcome; as a function, and as a process that is told by standard input.
//!
//! The server puts a line before what it echoes: who it is, and which addresses it saw ([`Greeting`]).

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Protocol, tcp, udp};

/// A request to an echo server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The protocol.
    pub protocol: Protocol,
    /// Where it goes.
    pub to: SocketAddr,
    /// Address and port that it comes from; picked by the kernel if absent.
    pub from: Option<SocketAddr>,
    /// How long it may take in all.
    pub timeout: Duration,
    /// UDP only: whether the socket is connected, so that the kernel reports ICMP errors and drops foreign answers. On
    /// a socket that is not, an answer from elsewhere is a [`ErrorKind::Mismatch`].
    pub connected: bool,
}

impl Request {
    /// A TCP request that may take 3 s.
    #[must_use]
    pub fn tcp(to: impl Into<SocketAddr>) -> Self {
        Self { protocol: Protocol::Tcp, to: to.into(), from: None, timeout: Duration::from_secs(3), connected: true }
    }

    /// A UDP request from a connected socket that may take 3 s.
    #[must_use]
    pub fn udp(to: impl Into<SocketAddr>) -> Self {
        Self { protocol: Protocol::Udp, ..Self::tcp(to) }
    }

    /// From this address and port; either may be unspecified.
    #[must_use]
    pub fn from(mut self, from: impl Into<SocketAddr>) -> Self {
        self.from = Some(from.into());
        self
    }

    /// In this time.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// From a UDP socket that is not connected.
    #[must_use]
    pub fn unconnected(mut self) -> Self {
        self.connected = false;
        self
    }

    pub(super) fn error(&self, step: &str, error: &io::Error) -> Error {
        Error {
            kind: ErrorKind::of(error),
            request: format!("{} to {}", self.protocol, self.to),
            step: step.to_owned(),
            reason: error.to_string(),
        }
    }

    pub(super) fn mismatch(&self, reason: String) -> Error {
        Error { kind: ErrorKind::Mismatch, reason, ..self.error("answer", &io::ErrorKind::InvalidData.into()) }
    }

    /// Where to bind: what was asked for, or anything of the right family.
    pub(super) fn source(&self) -> SocketAddr {
        let any = if self.to.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
        self.from.unwrap_or(any)
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The name of the server that answered.
    pub server: String,
    /// The client as the server saw it.
    pub peer: SocketAddr,
    /// The server's own address, as the server saw it.
    pub local: SocketAddr,
    /// What was echoed.
    pub bytes: Vec<u8>,
    /// From the first system call to the last byte.
    pub elapsed: Duration,
}

/// Why there is no reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{request}: {step}: {reason}")]
pub struct Error {
    /// What tests ask for.
    pub kind: ErrorKind,
    request: String,
    step: String,
    reason: String,
}

/// The kinds of failure that tests tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorKind {
    /// ECONNREFUSED: by a reset, by an ICMP error, or by a socket program.
    Refused,
    /// A reset of an established connection.
    Reset,
    /// No answer in time.
    TimedOut,
    /// No route, or an ICMP error that says so.
    Unreachable,
    /// EPERM or EACCES: by a socket program, or by a prohibiting route.
    Denied,
    /// The source address or port is taken, or is not there.
    Source,
    /// An answer that does not fit the request.
    Mismatch,
    /// Anything else.
    Other,
    /// The request could not be made: a fault of the lab.
    Lab,
}

impl ErrorKind {
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
                Self::Reset
            }
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::TimedOut,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Self::Unreachable,
            io::ErrorKind::PermissionDenied => Self::Denied,
            io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable => Self::Source,
            _ => Self::Other,
        }
    }
}

impl Error {
    /// A fault of the lab itself.
    pub(crate) fn of_lab(step: &str, error: &anyhow::Error) -> Self {
        Self { kind: ErrorKind::Lab, request: "lab".to_owned(), step: step.to_owned(), reason: format!("{error:#}") }
    }
}

/// Sends `payload` to an echo server from the calling thread's network namespace, and checks what comes back.
pub fn roundtrip(request: &Request, payload: &[u8]) -> Result<Reply, Error> {
    let started = Instant::now();
    let deadline = started + request.timeout;
    let answer = match request.protocol {
        Protocol::Tcp => tcp::exchange(request, payload, deadline)?,
        Protocol::Udp => udp::exchange(request, payload, deadline)?,
    };
    let (greeting, echo) =
        split(&answer).ok_or_else(|| request.mismatch(format!("{} bytes without a greeting", answer.len())))?;
    let Greeting { server, peer, local } = greeting;
    if echo != payload {
        let reason = format!("{} bytes were sent, {} others came back", payload.len(), echo.len());
        return Err(request.mismatch(reason));
    }
    Ok(Reply { server, peer, local, bytes: echo.to_vec(), elapsed: started.elapsed() })
}

/// What a server says before it echoes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Greeting {
    pub(super) server: String,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
}

impl Greeting {
    /// With IPv4 addresses as such, also where the socket is an IPv6 one.
    pub(super) fn new(server: &str, peer: SocketAddr, local: SocketAddr) -> Self {
        let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        Self { server: server.to_owned(), peer: plain(peer), local: plain(local) }
    }
}

/// A line of JSON, then bytes.
pub(super) fn join(head: &impl Serialize, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut message = serde_json::to_vec(head)?;
    message.push(b'\n');
    message.extend_from_slice(bytes);
    Ok(message)
}

/// And apart again.
pub(super) fn split<T: DeserializeOwned>(message: &[u8]) -> Option<(T, &[u8])> {
    let line = message.iter().position(|byte| *byte == b'\n')?;
    let (head, rest) = message.split_at(line);
    Some((serde_json::from_slice(head).ok()?, rest.get(1..)?))
}

/// What a process that makes one request prints before the echoed bytes.
#[derive(Debug, Serialize, Deserialize)]
enum Outcome {
    Replied { greeting: Greeting, elapsed: Duration },
    Failed(Error),
}

/// Standard input of `caracal-lab roundtrip`.
pub(crate) fn encode_request(request: &Request, payload: &[u8]) -> io::Result<Vec<u8>> {
    join(request, payload)
}

/// Understands the standard output of `caracal-lab roundtrip`.
pub(crate) fn decode_outcome(output: &[u8]) -> Result<Reply, Error> {
    match split(output) {
        Some((Outcome::Replied { greeting, elapsed }, bytes)) => {
            let Greeting { server, peer, local } = greeting;
            Ok(Reply { server, peer, local, bytes: bytes.to_vec(), elapsed })
        }
        Some((Outcome::Failed(error), _)) => Err(error),
        None => Err(Error::of_lab("output of caracal-lab roundtrip", &anyhow::anyhow!("{}", output.escape_ascii()))),
    }
}

/// Makes the request that `input` describes, and writes the outcome to `output`.
pub(crate) fn run_one(mut input: impl Read, mut output: impl Write) -> anyhow::Result<()> {
    let mut message = Vec::new();
    input.read_to_end(&mut message)?;
    let (request, payload) =
        split::<Request>(&message).ok_or_else(|| anyhow::anyhow!("no request on standard input"))?;
    let outcome = match roundtrip(&request, payload) {
        Ok(Reply { server, peer, local, bytes, elapsed }) => {
            join(&Outcome::Replied { greeting: Greeting { server, peer, local }, elapsed }, &bytes)?
        }
        Err(error) => join(&Outcome::Failed(error), &[])?,
    };
    output.write_all(&outcome)?;
    Ok(())
}
