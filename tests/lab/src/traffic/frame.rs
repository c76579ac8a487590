//! Frames exactly as given: for packets that no honest socket sends.

use std::{io, os::fd::AsRawFd as _};

use nix::{
    net::if_::if_nametoindex,
    sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, sendto, socket},
};

use crate::sys;

/// Sends frames, Ethernet header included, out of interface `ifname` of the calling thread's network namespace.
pub fn send_frames<F: AsRef<[u8]>>(ifname: &str, frames: impl IntoIterator<Item = F>) -> io::Result<()> {
    let address = address_of(ifname)?;
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)?;
    for frame in frames {
        let frame = frame.as_ref();
        let sent = sendto(socket.as_raw_fd(), frame, &address, MsgFlags::empty())?;
        if sent != frame.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
    }
    Ok(())
}

/// Interface `ifname` of this network namespace, as packet sockets name it.
pub(crate) fn address_of(ifname: &str) -> io::Result<LinkAddr> {
    let index = if_nametoindex(ifname)
        .map_err(|error| io::Error::new(io::Error::from(error).kind(), format!("interface {ifname}: {error}")))?;
    sys::packet_address(index).ok_or_else(|| io::Error::other(format!("interface {ifname} has the odd index {index}")))
}
