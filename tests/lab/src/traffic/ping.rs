//! ICMP and ICMPv6 echo over a raw socket: the round-trip time, or the ICMP error that came back.

mod packet;

use std::{
    io,
    net::IpAddr,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{
        AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, recvfrom, sendto, setsockopt,
        socket,
        sockopt::{Ipv4Ttl, Ipv6Ttl},
    },
};

use self::packet::{Answer, Echo};

/// An echo request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ping {
    /// Where it goes.
    pub to: IpAddr,
    /// The address it comes from; picked by the kernel if absent.
    pub from: Option<IpAddr>,
    /// TTL or hop limit; the kernel's if absent.
    pub ttl: Option<u8>,
    /// Bytes behind the ICMP header. IPv4 packets have DF set as long as they fit the first link.
    pub size: usize,
    /// How long to wait for an answer.
    pub timeout: Duration,
}

impl Ping {
    /// A ping of 56 bytes that waits for 2 s.
    #[must_use]
    pub fn new(to: impl Into<IpAddr>) -> Self {
        Self { to: to.into(), from: None, ttl: None, size: 56, timeout: Duration::from_secs(2) }
    }

    /// With this many bytes.
    #[must_use]
    pub fn size(mut self, size: usize) -> Self {
        self.size = size;
        self
    }

    /// With this TTL or hop limit.
    #[must_use]
    pub fn ttl(mut self, ttl: u8) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// From this address.
    #[must_use]
    pub fn from(mut self, from: impl Into<IpAddr>) -> Self {
        self.from = Some(from.into());
        self
    }

    /// Waiting this long.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

/// An echo reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pong {
    /// Who answered.
    pub from: IpAddr,
    /// How long it took.
    pub rtt: Duration,
}

/// Why there was no reply.
#[derive(Debug, thiserror::Error)]
pub enum PingError {
    /// Nothing came back.
    #[error("no answer from {to} in {:.1} s", waited.as_secs_f64())]
    TimedOut {
        /// Who was asked.
        to: IpAddr,
        /// How long.
        waited: Duration,
    },
    /// An ICMP error came back.
    #[error("{from} answers for {to} with ICMP type {kind} code {code}{}", mtu.map(|mtu| format!(", MTU {mtu}")).unwrap_or_default())]
    Icmp {
        /// Who was asked.
        to: IpAddr,
        /// Who sent the error.
        from: IpAddr,
        /// ICMP or ICMPv6 type.
        kind: u8,
        /// Its code.
        code: u8,
        /// The MTU, in errors that tell one.
        mtu: Option<u32>,
    },
    /// The kernel refuses to send.
    #[error("ping of {to}: {step}: {source}")]
    Io {
        /// Who was to be asked.
        to: IpAddr,
        /// What failed.
        step: &'static str,
        /// How.
        source: io::Error,
    },
}

impl PingError {
    /// Type and code of the ICMP error, if it is one.
    #[must_use]
    pub fn icmp(&self) -> Option<(u8, u8)> {
        if let Self::Icmp { kind, code, .. } = self { Some((*kind, *code)) } else { None }
    }
}

/// Sends an echo request from the calling thread's network namespace, and waits for what comes back.
pub fn ping(ping: &Ping) -> Result<Pong, PingError> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let at = |step: &'static str| move |source: io::Error| PingError::Io { to: ping.to, step, source };
    // Others ping in the same namespace: the process gives half of the identifier, a counter the sequence.
    let [low, ..] = std::process::id().to_le_bytes();
    let echo =
        Echo { v4: ping.to.is_ipv4(), id: u16::from(low) | 0x4c00, sequence: NEXT.fetch_add(1, Ordering::Relaxed) };
    let socket = open(ping).map_err(at("open"))?;
    let started = Instant::now();
    let to = SockaddrStorage::from(std::net::SocketAddr::new(ping.to, 0));
    sendto(socket.as_raw_fd(), &echo.request(ping.size), &to, MsgFlags::empty())
        .map_err(io::Error::from)
        .map_err(at("send"))?;
    let deadline = started + ping.timeout;
    let mut buffer = vec![0; 65_536];
    while let Some((len, from)) = receive(&socket, &mut buffer, deadline).map_err(at("receive"))? {
        match echo.answer(buffer.get(..len).unwrap_or_default()) {
            None => {}
            Some(Answer::Reply) => return Ok(Pong { from, rtt: started.elapsed() }),
            Some(Answer::Error { kind, code, mtu }) => {
                return Err(PingError::Icmp { to: ping.to, from, kind, code, mtu });
            }
        }
    }
    Err(PingError::TimedOut { to: ping.to, waited: started.elapsed() })
}

fn open(ping: &Ping) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = match ping.to {
        IpAddr::V4(_) => socket(AddressFamily::Inet, SockType::Raw, flags, SockProtocol::Icmp)?,
        IpAddr::V6(_) => socket(AddressFamily::Inet6, SockType::Raw, flags, SockProtocol::IcmpV6)?,
    };
    match (ping.ttl, ping.to) {
        (None, _) => {}
        (Some(ttl), IpAddr::V4(_)) => setsockopt(&socket, Ipv4Ttl, &i32::from(ttl))?,
        (Some(ttl), IpAddr::V6(_)) => setsockopt(&socket, Ipv6Ttl, &i32::from(ttl))?,
    }
    if let Some(from) = ping.from {
        bind(socket.as_raw_fd(), &SockaddrStorage::from(std::net::SocketAddr::new(from, 0)))?;
    }
    Ok(socket)
}

/// The next packet and its sender, or `None` at the deadline.
fn receive(socket: &OwnedFd, buffer: &mut [u8], deadline: Instant) -> io::Result<Option<(usize, IpAddr)>> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        let mut watched = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        if poll(&mut watched, PollTimeout::try_from(left).map_err(io::Error::other)?)? == 0 {
            return Ok(None);
        }
        let (len, from) = recvfrom::<SockaddrStorage>(socket.as_raw_fd(), buffer)?;
        if let Some(from) = from.as_ref().and_then(ip_of) {
            return Ok(Some((len, from)));
        }
    }
}

fn ip_of(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| address.ip().into());
    v4.or_else(|| address.as_sockaddr_in6().map(|address| address.ip().into()))
}
