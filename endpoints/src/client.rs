//! The plugin's side: one connection, everything said at once, and the answers.

use std::{
    io::{self, ErrorKind, Read, Write},
    os::{fd::AsRawFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket},
};

use crate::{
    Answer, Error, Hello, Request, Versions, Welcome,
    frame::{Decoder, encode},
    message::SPOKEN,
};

/// What is read at a time.
const CHUNK: usize = 4096;

/// Somebody who asks the agent.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    limit: Duration,
    spoken: Versions,
}

impl Client {
    /// One who asks the agent that listens on `socket`, and has its answers after `limit` at the latest.
    #[must_use]
    pub fn new(socket: PathBuf, limit: Duration) -> Self {
        Self { socket, limit, spoken: SPOKEN }
    }

    /// The same in other versions of the protocol.
    #[must_use]
    pub fn speaking(self, spoken: Versions) -> Self {
        Self { spoken, ..self }
    }

    /// The agent's answers, one for each request; fewer if it refused one and hung up.
    pub fn ask(&self, requests: &[Request]) -> Result<Vec<Answer>, Error> {
        let deadline = Instant::now() + self.limit;
        let (welcome, answers) = self.converse(self.spoken.newest, requests, deadline)?;
        if welcome.accepted {
            return Ok(answers);
        }
        let unknown = Error::Versions { theirs: welcome.spoken, ours: self.spoken };
        let Some(common) = self.spoken.common(welcome.spoken) else { return Err(unknown) };
        match self.converse(common, requests, deadline)? {
            (welcome, answers) if welcome.accepted => Ok(answers),
            _ => Err(unknown),
        }
    }

    fn converse(
        &self,
        protocol: u32,
        requests: &[Request],
        deadline: Instant,
    ) -> Result<(Welcome, Vec<Answer>), Error> {
        let mut said = Vec::new();
        encode(&Hello { protocol }, &mut said)?;
        for request in requests {
            encode(request, &mut said)?;
        }
        let mut stream = Limited { stream: self.connect(deadline)?, client: self, deadline };
        stream.write(&said)?;
        let mut decoder = Decoder::default();
        let welcome: Welcome = loop {
            match decoder.next("a welcome")? {
                Some(welcome) => break welcome,
                None if stream.read(&mut decoder)? => {}
                None => return Err(Error::HungUp(self.socket.clone())),
            }
        };
        let mut answers = Vec::with_capacity(requests.len());
        while welcome.accepted && answers.len() < requests.len() {
            match decoder.next("an answer")? {
                Some(answer) => answers.push(answer),
                None if stream.read(&mut decoder)? => {}
                // It does after a refusal.
                None if matches!(answers.last(), Some(Answer::Refused { .. })) => break,
                None => return Err(Error::HungUp(self.socket.clone())),
            }
        }
        Ok((welcome, answers))
    }

    fn connect(&self, deadline: Instant) -> Result<UnixStream, Error> {
        let made = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None);
        let stream = UnixStream::from(made.map_err(|e| self.failed("make a socket")(e.into()))?);
        let connected = self.remaining(deadline).and_then(|left| {
            // An agent that accepts nobody any more makes connecting wait as well.
            stream.set_write_timeout(Some(left)).map_err(self.failed("set its time limit"))?;
            let address = UnixAddr::new(&self.socket).map_err(|e| self.failed("connect")(e.into()))?;
            match connect(stream.as_raw_fd(), &address) {
                Err(Errno::ENOENT | Errno::ECONNREFUSED | Errno::ENOTDIR) => Err(Error::Away(self.socket.clone())),
                outcome => outcome.map_err(|e| self.failed("connect")(e.into())),
            }
        });
        connected.map(|()| stream)
    }

    fn remaining(&self, deadline: Instant) -> Result<Duration, Error> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(self.silent()) } else { Ok(left) }
    }

    fn silent(&self) -> Error {
        Error::Silent { socket: self.socket.clone(), limit_ms: self.limit.as_millis() }
    }

    fn failed(&self, action: &'static str) -> impl FnOnce(io::Error) -> Error {
        move |source| match source.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => self.silent(),
            _ => Error::Socket { action, socket: self.socket.clone(), source },
        }
    }
}

/// A connection that ends at a certain time, whatever the other side does.
struct Limited<'a> {
    stream: UnixStream,
    client: &'a Client,
    deadline: Instant,
}

impl Limited<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match self.stream.write_all(bytes) {
            // It may have said why before it hung up.
            Err(e) if matches!(e.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => Ok(()),
            written => written.map_err(self.client.failed("write")),
        }
    }

    /// Reads on; false at the end.
    fn read(&mut self, decoder: &mut Decoder) -> Result<bool, Error> {
        let mut chunk = [0; CHUNK];
        let left = self.client.remaining(self.deadline)?;
        self.stream.set_read_timeout(Some(left)).map_err(self.client.failed("set its time limit"))?;
        match self.stream.read(&mut chunk) {
            Ok(length) => {
                decoder.extend(&chunk[..length]);
                Ok(length > 0)
            }
            // What was not read of ours when it hung up.
            Err(e) if e.kind() == ErrorKind::ConnectionReset => Ok(false),
            Err(e) if e.kind() == ErrorKind::Interrupted => Ok(true),
            Err(e) => Err(self.client.failed("read")(e)),
        }
    }
}

/// Whether an agent answers on `socket` within `limit`; its release.
pub fn ping(socket: &Path, limit: Duration) -> Result<Option<String>, Error> {
    let answers = Client::new(socket.to_owned(), limit).ask(&[Request::Ping])?;
    Ok(answers.into_iter().find_map(|answer| if let Answer::Pong { agent } = answer { Some(agent) } else { None }))
}

#[cfg(test)]
mod tests;
