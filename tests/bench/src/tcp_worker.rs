//! Runs inside a pod: one end of TCP connections that carry a byte there and a byte back.
//!
//! Both ends are on the same CPU, so a transaction is what the path costs and not how soon another CPU wakes up. The
//! server is the first to close: so the pair of ports that waits to be forgotten waits there, and the client may take
//! any of its own. Each port of the server takes fewer connections than a client has ports, so that none is a former
//! one, which the kernel and a table of flows would treat in another way.

use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Instant,
};

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};

use crate::affinity;

/// What the server writes once it listens everywhere.
pub const READY: &str = "listening";

/// Where connections stay open.
const RR_PORT: u16 = 5_000;
/// Where each carries one transaction.
const CRR_PORTS: std::ops::Range<u16> = 6_000..6_032;
/// Connections to a port in a row: half of a client's ports are more, and it takes those with even numbers first.
const CONNECTIONS_A_PORT: u32 = 10_000;
/// Transactions before the clock is started.
const WARM_UP: usize = 500;
/// Parts of a round that are timed by themselves: what else the machine does meets only some of them.
const SLICES: u32 = 10;
/// Enough for a thread that waits for a connection.
const STACK_BYTES: usize = 64 << 10;

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A request and a response, again and again in one connection.
    Rr,
    /// A connection for each request and response: connect, exchange, close.
    Crr,
}

/// The client's part.
#[derive(Clone, Debug, Args)]
pub struct Client {
    /// What to time.
    pub kind: Kind,
    /// Where the server is.
    pub to: IpAddr,
    /// How often.
    pub transactions: u32,
    /// Which round this is: it chooses the ports.
    pub round: u32,
}

/// Serves on each of these addresses until it is killed.
pub fn serve(addresses: &[IpAddr]) -> anyhow::Result<()> {
    affinity::stay_on_one_cpu()?;
    let mut listeners = Vec::new();
    for ip in addresses {
        for port in [RR_PORT].into_iter().chain(CRR_PORTS) {
            let at = SocketAddr::new(*ip, port);
            listeners.push(TcpListener::bind(at).with_context(|| format!("listening on {at}"))?);
        }
    }
    thread::scope(|scope| {
        let answer = |listener: TcpListener| move || accept(&listener);
        for listener in listeners {
            thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, answer(listener)).context("a thread")?;
        }
        writeln!(io::stdout(), "{READY}")?;
        Ok(())
    })
}

/// A connection after the other. One that fails is the client's to tell of.
fn accept(listener: &TcpListener) {
    let stays = listener.local_addr().is_ok_and(|at| at.port() == RR_PORT);
    for stream in listener.incoming().flatten() {
        let _ = answer(stream, stays);
    }
}

fn answer(mut stream: TcpStream, stays: bool) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut byte = [0];
    while stream.read(&mut byte)? == 1 {
        stream.write_all(&byte)?;
        if !stays {
            break;
        }
    }
    Ok(())
}

/// Prints the microseconds that a transaction takes, a line for each slice.
#[expect(clippy::print_stdout, reason = "its answer")]
pub fn run(client: &Client) -> anyhow::Result<()> {
    affinity::stay_on_one_cpu()?;
    let slices = match client.kind {
        Kind::Rr => client.requests()?,
        Kind::Crr => client.connections()?,
    };
    for micros in slices {
        println!("{micros}");
    }
    Ok(())
}

impl Client {
    fn requests(&self) -> anyhow::Result<Vec<f64>> {
        let to = SocketAddr::new(self.to, RR_PORT);
        let mut stream = TcpStream::connect(to).with_context(|| format!("connecting to {to}"))?;
        stream.set_nodelay(true)?;
        self.timed(|_| exchange(&mut stream))
    }

    fn connections(&self) -> anyhow::Result<Vec<f64>> {
        // The warm-up has begun another.
        let ports = self.transactions.div_ceil(CONNECTIONS_A_PORT) + 1;
        let first = self.round.wrapping_mul(ports);
        self.timed(|n| {
            let turn = first.wrapping_add(n / CONNECTIONS_A_PORT) % u32::from(CRR_PORTS.end - CRR_PORTS.start);
            let to = SocketAddr::new(self.to, CRR_PORTS.start + u16::try_from(turn)?);
            let mut stream = TcpStream::connect(to).with_context(|| format!("connecting to {to}"))?;
            stream.set_nodelay(true)?;
            exchange(&mut stream)?;
            ensure!(stream.read(&mut [0])? == 0, "{to} did not close");
            Ok(())
        })
    }

    /// Microseconds a transaction, which is given its number, in each slice.
    fn timed(&self, mut transaction: impl FnMut(u32) -> anyhow::Result<()>) -> anyhow::Result<Vec<f64>> {
        let mut next = 0..;
        let mut some = |count| next.by_ref().take(count).try_for_each(&mut transaction);
        some(WARM_UP)?;
        let count = self.transactions.div_ceil(SLICES);
        let slices = (0..SLICES).map(|_| {
            let began = Instant::now();
            some(count as usize)?;
            Ok(began.elapsed().as_secs_f64() * 1e6 / f64::from(count))
        });
        slices.collect()
    }
}

fn exchange(stream: &mut TcpStream) -> anyhow::Result<()> {
    let mut byte = *b"?";
    stream.write_all(&byte)?;
    stream.read_exact(&mut byte).context("no answer")
}
