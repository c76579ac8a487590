//! One connection: a greeting, and requests until the other side hangs up or its time is over.
//!
//! Whoever is slow, silent or talks nonsense loses its own connection and nothing else: everything it can make the agent
//! keep is bounded, and so is all its time.

use std::{
    future::Future,
    io::{self, ErrorKind},
    time::Duration,
};

use caracal_endpoints::{
    Answer, Error as Malformed, Hello, Registration, Request, Welcome,
    frame::{Decoder, encode},
    message::SPOKEN,
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    net::UnixStream,
    time::{Instant, sleep, timeout},
};

use super::{Pods, Readiness};

/// How long a request may take to come as a whole, the greeting too, and an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long is waited for what is said of a pod to be in force. Shorter than the plugin's patience.
const WAIT_LIMIT: Duration = Duration::from_secs(5);
/// How often that is looked for.
const WAIT_LOOK: Duration = Duration::from_millis(10);
/// How many requests one connection may bring.
const MAX_REQUESTS: usize = 64;
/// What is read at a time.
const CHUNK: usize = 4096;

/// Who may speak: root.
const ROOT: u32 = 0;

/// Why a connection ended that nobody had hung up.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("a process of user {0} connected; only root may")]
    Foreign(u32),
    #[error("no whole request within {} s", PATIENCE.as_secs())]
    Slow,
    #[error("nobody took the answer within {} s", PATIENCE.as_secs())]
    Deaf,
    #[error("hung up in the middle of a request")]
    HalfSaid,
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("version {0} of the protocol is not spoken here, but {SPOKEN}")]
    Version(u32),
    #[error("more than {MAX_REQUESTS} requests on one connection")]
    Endless,
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Socket(#[from] io::Error),
}

/// Serves one who has connected.
pub(super) async fn serve(stream: &UnixStream, pods: &impl Pods) -> Result<(), Error> {
    let mut session = Session { stream, decoder: Decoder::default(), unsent: Vec::new() };
    match stream.peer_cred()?.uid() {
        ROOT => {}
        uid => return Err(Error::Foreign(uid)),
    }
    let ended = session.converse(pods).await;
    if let Err(error) = &ended
        && error.is_worth_telling()
    {
        session.say(&Answer::Refused { reason: error.to_string() })?;
    }
    // Whoever cannot be told any more has hung up.
    let _ = session.flush().await;
    ended
}

impl Error {
    /// Whether the other side is still there to hear it.
    fn is_worth_telling(&self) -> bool {
        matches!(self, Self::Slow | Self::Malformed(_) | Self::Endless | Self::Refused(_))
    }
}

struct Session<'a> {
    stream: &'a UnixStream,
    decoder: Decoder,
    /// Answers, sent together when there is nothing left to read: each that is sent wakes the plugin.
    unsent: Vec<u8>,
}

impl Session<'_> {
    async fn converse(&mut self, pods: &impl Pods) -> Result<(), Error> {
        let Some(Hello { protocol }) = self.hear("a greeting").await? else { return Ok(()) };
        let accepted = SPOKEN.contains(protocol);
        self.say(&Welcome { accepted, spoken: SPOKEN, agent: env!("CARGO_PKG_VERSION").to_owned() })?;
        if !accepted {
            return Err(Error::Version(protocol));
        }
        let mut registered = Vec::new();
        for _ in 0..MAX_REQUESTS {
            let Some(request) = self.hear("a request").await? else { return Ok(()) };
            let answer = answer(request, &mut registered, pods).await?;
            self.say(&answer)?;
        }
        Err(Error::Endless)
    }

    /// The next frame; none if the other side hangs up instead.
    async fn hear<T: DeserializeOwned>(&mut self, what: &'static str) -> Result<Option<T>, Error> {
        let whole = async {
            loop {
                if let Some(message) = self.decoder.next(what)? {
                    return Ok(Some(message));
                }
                self.flush().await?;
                if !self.read().await? {
                    return if self.decoder.is_midway() { Err(Error::HalfSaid) } else { Ok(None) };
                }
            }
        };
        timeout(PATIENCE, whole).await.unwrap_or(Err(Error::Slow))
    }

    /// Reads on; false at the end.
    async fn read(&mut self) -> io::Result<bool> {
        let mut chunk = [0; CHUNK];
        let length = ready(|| self.stream.readable(), || self.stream.try_read(&mut chunk)).await?;
        self.decoder.extend(&chunk[..length]);
        Ok(length > 0)
    }

    fn say(&mut self, message: &impl Serialize) -> Result<(), Error> {
        Ok(encode(message, &mut self.unsent)?)
    }

    async fn flush(&mut self) -> Result<(), Error> {
        let whole = async {
            let mut rest = &self.unsent[..];
            while !rest.is_empty() {
                let written = ready(|| self.stream.writable(), || self.stream.try_write(rest)).await?;
                rest = &rest[written..];
            }
            Ok(())
        };
        timeout(PATIENCE, whole).await.unwrap_or(Err(Error::Deaf))?;
        self.unsent.clear();
        Ok(())
    }
}

/// Tries until it does not have to wait.
async fn ready<T, F: Future<Output = io::Result<()>>>(
    wait: impl Fn() -> F,
    mut attempt: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    loop {
        match attempt() {
            Err(e) if e.kind() == ErrorKind::WouldBlock => wait().await?,
            outcome => return outcome,
        }
    }
}

async fn answer(request: Request, registered: &mut Vec<Registration>, pods: &impl Pods) -> Result<Answer, Error> {
    Ok(match request {
        Request::Ping => Answer::Pong { agent: env!("CARGO_PKG_VERSION").to_owned() },
        Request::Register(pod) => {
            pods.register(&pod).map_err(|why| Error::Refused(format!("{pod}: {why}")))?;
            registered.push(*pod);
            Answer::Registered
        }
        Request::Wait => in_force(registered, pods).await,
        Request::Remove(pod) => match pods.remove(&pod) {
            Ok(()) => Answer::Removed,
            Err(reason) => Answer::TryLater { reason },
        },
    })
}

/// The answer to those who wait.
async fn in_force(registered: &[Registration], pods: &impl Pods) -> Answer {
    let deadline = Instant::now() + WAIT_LIMIT;
    for pod in registered {
        loop {
            match pods.readiness(pod) {
                Readiness::InForce => break,
                Readiness::Pending(reason) if Instant::now() >= deadline => {
                    let reason = format!("{pod}: not in force after {} s: {reason}", WAIT_LIMIT.as_secs());
                    return Answer::TryLater { reason };
                }
                Readiness::Pending(_) => sleep(WAIT_LOOK).await,
                Readiness::Never(reason) => return Answer::TryLater { reason: format!("{pod}: {reason}") },
            }
        }
    }
    Answer::InForce
}
