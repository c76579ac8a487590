//! A TCP request: connect, send all, close that side, read to the end.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{
        AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, getsockopt, setsockopt, socket,
        sockopt::{ReuseAddr, SocketError},
    },
};

use super::{Error, Request};

pub(super) fn exchange(request: &Request, payload: &[u8], deadline: Instant) -> Result<Vec<u8>, Error> {
    let stream = open(request, deadline).map_err(|error| request.error("connect", &error))?;
    // Sending and reading at the same time: a payload larger than all buffers would stop an echo server otherwise.
    thread::scope(|scope| {
        let sending = scope.spawn(|| send(&stream, payload, deadline));
        let read = read_to_end(&stream, deadline).map_err(|error| request.error("read", &error));
        if read.is_err() {
            // Wakes the sender, if it is stuck. Fails if the connection is gone already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        let sent = sending.join().unwrap_or_else(|_| Err(io::Error::other("the sender panicked")));
        // An error of both sides has one cause, and the reader's names it better.
        let answer = read?;
        sent.map_err(|error| request.error("send", &error))?;
        Ok(answer)
    })
}

/// Opens a TCP connection in the network namespace of the calling thread, which the caller keeps.
pub fn connect_tcp(request: &Request) -> io::Result<TcpStream> {
    open(request, Instant::now() + request.timeout)
}

/// Connects; the standard library cannot bind before it does.
fn open(request: &Request, deadline: Instant) -> io::Result<TcpStream> {
    let family = if request.to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    if let Some(from) = request.from {
        setsockopt(&socket, ReuseAddr, &true)?;
        bind(socket.as_raw_fd(), &SockaddrStorage::from(from))?;
    }
    match connect(socket.as_raw_fd(), &SockaddrStorage::from(request.to)) {
        Ok(()) => {}
        Err(Errno::EINPROGRESS) => wait_until_connected(&socket, request.to, deadline)?,
        Err(error) => return Err(error.into()),
    }
    let stream = TcpStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

fn wait_until_connected(socket: &OwnedFd, to: SocketAddr, deadline: Instant) -> io::Result<()> {
    let timeout = PollTimeout::try_from(left(deadline)?).map_err(io::Error::other)?;
    let mut watched = [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)];
    if poll(&mut watched, timeout)? == 0 {
        return Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer from {to}")));
    }
    match getsockopt(socket, SocketError)? {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

fn send(mut stream: &TcpStream, payload: &[u8], deadline: Instant) -> io::Result<()> {
    stream.set_write_timeout(Some(left(deadline)?))?;
    stream.write_all(payload)?;
    stream.shutdown(Shutdown::Write)
}

fn read_to_end(mut stream: &TcpStream, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut chunk)? {
            0 => return Ok(answer),
            len => answer.extend_from_slice(chunk.get(..len).unwrap_or_default()),
        }
    }
}

/// The time until `deadline`; an error if there is none.
pub(super) fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}
