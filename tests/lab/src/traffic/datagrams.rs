//! A UDP socket that stays open: over what happens in between, with datagrams cut into segments by the kernel, and with what
//! routers say about the path.

use std::{
    io::{self, IoSliceMut},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    time::{Duration, Instant},
};

use nix::{
    cmsg_space, libc,
    sys::socket::{
        ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt,
        sockopt::{UdpGroSegment, UdpGsoSegment},
    },
};

use super::{
    exchange::{Greeting, split},
    tcp::left,
    udp::LARGEST,
};
use crate::sys;

const PATIENCE: Duration = Duration::from_secs(3);

/// A UDP socket of the test itself, wherever it was opened.
#[derive(Debug)]
pub struct Datagrams {
    socket: UdpSocket,
}

/// What one call received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The bytes: one datagram, or several that the kernel joined.
    pub bytes: Vec<u8>,
    /// The length of each of several but the last.
    pub segment: Option<usize>,
    /// Who sent them.
    pub from: SocketAddr,
}

impl Datagrams {
    /// Connected to an address, in the network namespace of the calling thread; from this port, or any if it is 0.
    pub fn connect(port: u16, to: SocketAddr) -> io::Result<Self> {
        let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, port))?;
        socket.connect(to)?;
        Self::over(socket)
    }

    /// Receiving from anybody, of both families, in the network namespace of the calling thread.
    pub fn bind(port: u16) -> io::Result<Self> {
        Self::over(UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port))?)
    }

    fn over(socket: UdpSocket) -> io::Result<Self> {
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket })
    }

    /// The port it has on its own side.
    pub fn port(&self) -> io::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }

    /// Sends a datagram.
    pub fn send(&self, payload: &[u8]) -> io::Result<()> {
        self.socket.send(payload).map(drop)
    }

    /// Sends a datagram to an echo server and gives the client's address as the server saw it. What came earlier or belongs
    /// to another datagram is passed over.
    pub fn echo(&self, payload: &[u8]) -> io::Result<SocketAddr> {
        let deadline = Instant::now() + PATIENCE;
        self.send(payload)?;
        loop {
            self.socket.set_read_timeout(Some(left(deadline)?))?;
            let mut answer = vec![0; LARGEST];
            let len = self.socket.recv(&mut answer)?;
            answer.truncate(len);
            match split::<Greeting>(&answer) {
                Some((greeting, echoed)) if echoed == payload => return Ok(greeting.peer),
                _ => {}
            }
        }
    }

    /// Sends many datagrams of so many bytes by one call: UDP GSO. The last one may be shorter.
    pub fn send_segments(&self, payload: &[u8], segment: u16) -> io::Result<()> {
        setsockopt(&self.socket, UdpGsoSegment, &segment.into())?;
        let sent = self.send(payload);
        setsockopt(&self.socket, UdpGsoSegment, &0)?;
        sent
    }

    /// Lets the kernel join datagrams of equal length before they are received: UDP GRO.
    pub fn join_segments(&self) -> io::Result<()> {
        Ok(setsockopt(&self.socket, UdpGroSegment, &true)?)
    }

    /// Receives what comes next.
    pub fn receive(&self) -> io::Result<Received> {
        let mut bytes = vec![0; LARGEST];
        let mut control = cmsg_space!(libc::c_int);
        let (len, segment, from) = {
            let mut slices = [IoSliceMut::new(&mut bytes)];
            let fd = self.socket.as_raw_fd();
            let message = recvmsg::<SockaddrStorage>(fd, &mut slices, Some(&mut control), MsgFlags::empty())?;
            let segment = message.cmsgs()?.find_map(|control| match control {
                ControlMessageOwned::UdpGroSegments(size) => usize::try_from(size).ok(),
                _ => None,
            });
            (message.bytes, segment, message.address.as_ref().and_then(std_address))
        };
        bytes.truncate(len);
        let from = from.ok_or_else(|| io::Error::other("a datagram from nowhere"))?;
        Ok(Received { segment: segment.filter(|size| *size < len), bytes, from })
    }

    /// Never to be fragmented from now on: datagrams larger than the path takes are refused (EMSGSIZE), those larger than
    /// anybody knows yet are lost.
    pub fn never_fragment(&self) -> io::Result<()> {
        if self.is_ipv4()? {
            sys::set_option(&self.socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO)
        } else {
            sys::set_option(&self.socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DO)
        }
    }

    /// The largest packet that this socket's path takes, as far as the kernel knows.
    pub fn path_mtu(&self) -> io::Result<usize> {
        path_mtu(&self.socket, self.is_ipv4()?)
    }

    /// What the network said about an earlier datagram: an ICMP error that came back, as an error of the system.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }

    fn is_ipv4(&self) -> io::Result<bool> {
        Ok(self.socket.peer_addr()?.is_ipv4())
    }
}

/// The largest packet that the path of a connected socket takes, as far as the kernel knows.
pub fn path_mtu(socket: &impl AsRawFd, v4: bool) -> io::Result<usize> {
    let mtu = if v4 {
        sys::option(socket, libc::IPPROTO_IP, libc::IP_MTU)
    } else {
        sys::option(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU)
    };
    usize::try_from(mtu?).map_err(io::Error::other)
}

/// Of either family, IPv4 as such.
fn std_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::new(v4.ip().into(), v4.port()));
    }
    let v6 = address.as_sockaddr_in6()?;
    Some(SocketAddr::new(IpAddr::V6(v6.ip()).to_canonical(), v6.port()))
}
