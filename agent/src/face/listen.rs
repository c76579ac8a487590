//! Sockets that serve pages: opened and closed as the settings say, and never held up by anybody.
//!
//! A connection is for one request and has a few seconds for it. When there are too many, the oldest goes: whoever is honest
//! is done by then.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    io,
    net::SocketAddr,
    time::Duration,
};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::socket::{setsockopt, sockopt::Ipv6V6Only};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    task::{AbortHandle, JoinHandle, JoinSet},
    time::{sleep, timeout},
};

use super::{Face, pages::Pages};
use crate::{Host, Options};

/// How long a connection may last.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a request may be on its way.
const REQUEST: Duration = Duration::from_secs(5);
/// How many connections a socket has at a time.
const CONNECTIONS: usize = 32;
/// How many wait to be taken.
const BACKLOG: u32 = 64;
/// The bytes of a request's head, and how many headers it has.
const HEAD: (usize, usize) = (16 << 10, 64);
/// How long to wait when there is no room for another connection.
const PAUSE: Duration = Duration::from_millis(100);
/// When what could not be opened is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Where the same pages are served, be it on one of two addresses or on both.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    addresses: Vec<SocketAddr>,
    pages: Pages,
}

/// The sockets of the settings.
fn wanted(options: &Options) -> Vec<Wanted> {
    let at = |host: Host, port, pages| {
        let addresses = host.ips().into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
        Wanted { addresses, pages }
    };
    let health = Pages { health: options.health, debug: options.debug, ..Pages::default() };
    let mut all = Vec::new();
    if options.health || options.debug {
        all.push(at(options.health_host, options.health_port, health));
    }
    if options.metrics {
        let metrics = at(options.metrics_host, options.metrics_port, Pages { metrics: true, ..Pages::default() });
        match all.first_mut() {
            Some(health) if health.addresses == metrics.addresses => health.pages.metrics = true,
            _ => all.push(metrics),
        }
    }
    all
}

/// An open socket, and who serves it.
struct Open {
    pages: Pages,
    serving: JoinHandle<()>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Serves what the settings say for as long as it is polled.
pub(super) async fn run(face: &Face) {
    let mut options = face.shared.follow();
    let mut open = BTreeMap::new();
    loop {
        let wanted = wanted(&options.borrow_and_update());
        let errors = settle(face, &mut open, &wanted).await;
        let is_done = errors.is_empty();
        face.health.problems("listening", errors);
        tokio::select! {
            changed = options.changed() => if changed.is_err() { return },
            () = sleep(RETRY), if !is_done => {}
        }
    }
}

/// Makes the open sockets be those that are wanted. Returns what could not be.
async fn settle(face: &Face, open: &mut BTreeMap<SocketAddr, Open>, wanted: &[Wanted]) -> Vec<String> {
    let is_wanted = |address: &SocketAddr, it: &Open| {
        wanted.iter().any(|wanted| wanted.pages == it.pages && wanted.addresses.contains(address))
    };
    // Closed first: an address may be wanted again, for other pages.
    for (_, mut unwanted) in open.extract_if(.., |address, it| !is_wanted(address, it)).collect::<Vec<_>>() {
        unwanted.serving.abort();
        let _ = (&mut unwanted.serving).await;
    }
    let mut errors = Vec::new();
    for Wanted { addresses, pages } in wanted {
        let mut lacking = Vec::new();
        for &address in addresses.iter().filter(|address| !open.contains_key(address)).collect::<Vec<_>>() {
            match listen(address) {
                Ok(listener) => {
                    let serving = tokio::spawn(serve(face.clone(), listener, *pages));
                    open.insert(address, Open { pages: *pages, serving });
                }
                Err(error) => lacking.push((address, error)),
            }
        }
        let is_served = addresses.iter().any(|address| open.contains_key(address));
        // A node may have one family alone.
        lacking.retain(|(_, error)| !is_served || !lacks_family(error));
        errors.extend(lacking.iter().map(|(address, error)| format!("{address}: {error}; tried again")));
    }
    errors
}

fn lacks_family(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(nix::libc::EAFNOSUPPORT)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if address.is_ipv6() {
        // The other family has a socket of its own.
        setsockopt(&socket, Ipv6V6Only, &true)?;
    }
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Takes connections for as long as it is polled. With it, they all end.
async fn serve(face: Face, listener: TcpListener, pages: Pages) {
    let (mut tasks, mut oldest) = (JoinSet::new(), VecDeque::<AbortHandle>::new());
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                while tasks.try_join_next().is_some() {}
                oldest.retain(|task| !task.is_finished());
                if oldest.len() >= CONNECTIONS
                    && let Some(task) = oldest.pop_front()
                {
                    task.abort();
                }
                oldest.push_back(tasks.spawn(converse(face.clone(), stream, peer, pages)));
            }
            // No file is left, or the like: connections that end make room.
            Err(_) => sleep(PAUSE).await,
        }
    }
}

async fn converse(face: Face, stream: TcpStream, peer: SocketAddr, pages: Pages) {
    let is_local = peer.ip().to_canonical().is_loopback();
    let service = service_fn(async |request: Request<Incoming>| {
        Ok::<_, Infallible>(pages.answer(&face, request.method(), request.uri().path(), is_local).await)
    });
    let (bytes, headers) = HEAD;
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(REQUEST)
        .keep_alive(false)
        .max_buf_size(bytes)
        .max_headers(headers);
    // What goes wrong with it is the other side's business.
    let _ = timeout(PATIENCE, http.serve_connection(TokioIo::new(stream), service)).await;
}

#[cfg(test)]
mod tests;
