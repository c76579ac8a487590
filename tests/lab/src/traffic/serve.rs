//! Echo servers that first say whom they see.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    thread,
};

use anyhow::{Context as _, Result};

use super::{
    Listen, Protocol,
    exchange::{Greeting, join},
    udp::LARGEST,
};

/// What a server prints once all of its sockets listen.
pub(crate) const READY: &str = "serving";

/// Serves for ever under `name`, in the network namespace of this process. `ready` is called once all sockets listen.
pub fn serve(name: &str, listens: &[Listen], ready: impl FnOnce() -> io::Result<()>) -> Result<()> {
    let mut servers: Vec<Box<dyn FnOnce() -> io::Result<()> + Send + '_>> = Vec::new();
    for listen in listens {
        match listen.protocol {
            Protocol::Tcp => {
                let socket = bind(*listen, TcpListener::bind)?;
                servers.push(Box::new(move || accept_forever(name, &socket)));
            }
            Protocol::Udp => {
                let socket = bind(*listen, UdpSocket::bind)?;
                servers.push(Box::new(move || answer_forever(name, &socket)));
            }
        }
    }
    ready().context("saying that the servers are ready")?;
    thread::scope(|scope| {
        let running: Vec<_> = servers.into_iter().map(|server| scope.spawn(server)).collect();
        for server in running {
            server.join().unwrap_or_else(|_| Err(io::Error::other("a server panicked"))).context("serving")?;
        }
        Ok(())
    })
}

/// Binds to all addresses of both families, if no address is asked for and the kernel has IPv6.
fn bind<S>(listen: Listen, open: impl Fn(SocketAddr) -> io::Result<S>) -> Result<S> {
    let bound = match listen.address {
        Some(address) => open((address, listen.port).into()),
        None => open((Ipv6Addr::UNSPECIFIED, listen.port).into())
            .or_else(|_| open((Ipv4Addr::UNSPECIFIED, listen.port).into())),
    };
    bound.with_context(|| format!("listening on {listen}"))
}

fn accept_forever(name: &str, listener: &TcpListener) -> io::Result<()> {
    thread::scope(|scope| {
        loop {
            let (stream, peer) = listener.accept()?;
            // A client that goes away is its own affair.
            scope.spawn(move || echo(name, stream, peer));
        }
    })
}

fn echo(name: &str, mut stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(&join(&Greeting::new(name, peer, stream.local_addr()?), &[])?)?;
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut chunk)? {
            0 => return Ok(()),
            len => stream.write_all(chunk.get(..len).unwrap_or_default())?,
        }
    }
}

fn answer_forever(name: &str, socket: &UdpSocket) -> io::Result<()> {
    let local = socket.local_addr()?;
    let mut datagram = vec![0; LARGEST];
    loop {
        let (len, peer) = match socket.recv_from(&mut datagram) {
            Ok(received) => received,
            // The ICMP error that an earlier answer caused.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
            Err(error) => return Err(error),
        };
        let answer = join(&Greeting::new(name, peer, local), datagram.get(..len).unwrap_or_default())?;
        // A client that cannot be reached does not get its answer.
        let _ = socket.send_to(&answer, peer);
    }
}
