//! A bad line: passes TCP connections on to an API server, as badly as it is told to.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
    time::sleep,
};

use crate::runtime::Runtime;

/// What the line is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// It does what it should.
    Good,
    /// Every piece of at most [`PIECE`] bytes takes this long.
    Slow(Duration),
    /// Nothing gets through, and nobody is told.
    Stalled,
    /// Connections end as soon as they are made.
    Refusing,
    /// Connections end behind so many bytes of answers, wherever that is.
    EndsAfter(usize),
}

/// What is read at once.
pub const PIECE: usize = 16 * 1024;

/// A line to an API server. It goes down when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    line: watch::Sender<Line>,
    /// Counts the times that everything was cut.
    cuts: watch::Sender<u64>,
    accepted: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Opens a line to a port of the runtime's own machine.
    pub(crate) fn open(runtime: &Runtime, to: u16) -> Result<Self> {
        let listener = runtime.run(TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))).context("opening a line")?;
        let port = listener.local_addr().context("asking for the line's port")?.port();
        let (line, cuts) = (watch::Sender::new(Line::Good), watch::Sender::new(0));
        let accepted = Arc::new(AtomicU64::new(0));
        let ways = Ways { to: (Ipv4Addr::LOCALHOST, to).into(), line: line.subscribe(), cuts: cuts.subscribe() };
        let task = runtime.spawn(accept(listener, ways, Arc::clone(&accepted)));
        Ok(Self { port, line, cuts, accepted, task })
    }

    /// Where it begins.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes it better or worse, for the connections there are as well.
    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }

    /// Ends all connections there are.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts = cuts.wrapping_add(1));
    }

    /// How many connections there were.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

/// What all connections share.
#[derive(Clone)]
struct Ways {
    to: SocketAddr,
    line: watch::Receiver<Line>,
    cuts: watch::Receiver<u64>,
}

async fn accept(listener: TcpListener, ways: Ways, accepted: Arc<AtomicU64>) {
    while let Ok((client, _)) = listener.accept().await {
        accepted.fetch_add(1, Ordering::Relaxed);
        let refuses = *ways.line.borrow() == Line::Refusing;
        if !refuses {
            tokio::spawn(connection(client, ways.clone()));
        }
    }
}

/// Ends when one side does, or with a cut. Who ended it is of no interest to anybody.
async fn connection(client: TcpStream, ways: Ways) {
    let Ways { to, line, mut cuts } = ways;
    cuts.mark_unchanged();
    let Ok(server) = TcpStream::connect(to).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        _ = pass(from_client, to_server, line.clone(), false) => {}
        _ = pass(from_server, to_client, line, true) => {}
        _ = cuts.changed() => {}
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut line: watch::Receiver<Line>,
    is_answer: bool,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    let mut passed = 0_usize;
    loop {
        let read = from.read(&mut piece).await?;
        if read == 0 {
            return Ok(());
        }
        // Fails when the proxy is gone, and everything ends with it.
        let now = *line.wait_for(|line| *line != Line::Stalled).await.map_err(io::Error::other)?;
        let mut left = piece.get(..read).unwrap_or_default();
        match now {
            Line::Slow(pause) => sleep(pause).await,
            Line::EndsAfter(limit) if is_answer => left = left.get(..limit.saturating_sub(passed)).unwrap_or(left),
            _ => {}
        }
        to.write_all(left).await?;
        passed = passed.saturating_add(left.len());
        if left.len() < read {
            return Ok(());
        }
    }
}
