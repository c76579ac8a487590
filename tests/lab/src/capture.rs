//! What goes over an interface: an `AF_PACKET` socket, read by a thread into memory.
//!
//! A capture that is dropped while its test panics writes itself to `target/lab-captures/`, for Wireshark or tcpdump.
//! As with every packet socket: a packet may be larger than the MTU and have a checksum that is still to be filled in,
//! because the kernel does both later, and a VLAN tag is not in it.

mod pcap;

use std::{
    fs, io,
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result};
use nix::{
    errno::Errno,
    libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{
        AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, setsockopt, socket,
        sockopt::RcvBufForce,
    },
};

use crate::{
    find,
    namespaces::{NetNs, in_netns},
    traffic::frame::address_of,
    wait::wait_for,
};

/// What the kernel keeps for the thread, should it fall behind.
const KERNEL_BUFFER: usize = 32 << 20;

/// More than any packet has, with segmentation offload.
const LONGEST_PACKET: usize = 256 << 10;

/// A captured packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// When the thread saw it.
    pub time: SystemTime,
    /// Whether it left by the interface, or came in by it.
    pub outgoing: bool,
    /// The packet, Ethernet header included.
    pub bytes: Vec<u8>,
}

/// A running capture.
#[derive(Debug)]
pub struct Capture {
    name: String,
    packets: Arc<Mutex<Vec<Packet>>>,
    /// Closing it ends the thread.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Capture {
    /// Captures all that goes over interface `ifname` of `netns` from now on.
    pub fn start(netns: &NetNs, ifname: &str) -> Result<Self> {
        let test = thread::current().name().unwrap_or("main").to_owned();
        let name = file_name(&[&test, netns.label(), ifname]);
        let opened = in_netns(netns, || open(ifname)).flatten();
        let socket = opened.with_context(|| format!("capturing on {ifname} of {}", netns.label()))?;
        let (stop, stopped) = UnixStream::pair().context("making a socket pair")?;
        let packets = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&packets);
        let thread = thread::Builder::new()
            .name(format!("capture {ifname}"))
            .spawn(move || read_until_stopped(&socket, &stopped, &seen))
            .context("starting a thread")?;
        Ok(Self { name, packets, stop: Some(stop), thread: Some(thread) })
    }

    /// What was captured so far. The newest packets may be missing: [`Self::stop`] misses none.
    #[must_use]
    pub fn packets(&self) -> Vec<Packet> {
        self.packets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for a packet that is `wanted`, also among those captured already.
    #[track_caller]
    pub fn wait_for(&self, what: &str, timeout: Duration, mut wanted: impl FnMut(&Packet) -> bool) -> Result<Packet> {
        wait_for(format_args!("{what} in capture {}", self.name), timeout, || {
            let packets = self.packets.lock().unwrap_or_else(PoisonError::into_inner);
            packets
                .iter()
                .find(|packet| wanted(packet))
                .cloned()
                .ok_or_else(|| format!("{} other packets", packets.len()))
        })
    }

    /// Ends the capture and gives all of it: every packet that passed the interface before this call.
    pub fn stop(mut self) -> Result<Vec<Packet>> {
        self.end().with_context(|| format!("capture {}", self.name))?;
        Ok(self.packets())
    }

    /// Writes what was captured so far as a pcap file.
    pub fn save(&self, path: &Path) -> Result<()> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        }
        fs::write(path, pcap::encode(&self.packets())).with_context(|| format!("writing {}", path.display()))
    }

    fn end(&mut self) -> io::Result<()> {
        drop(self.stop.take());
        let panicked = || Err(io::Error::other("the capturing thread panicked"));
        self.thread.take().map_or(Ok(()), |thread| thread.join().unwrap_or_else(|_| panicked()))
    }

    fn default_path(&self) -> Option<PathBuf> {
        Some(find::target_dir()?.join("lab-captures").join(&self.name).with_extension("pcap"))
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let ended = self.end();
        if !thread::panicking() {
            return;
        }
        if let Err(error) = ended {
            eprintln!("capture {}: {error}", self.name);
        }
        let Some(path) = self.default_path() else { return };
        match self.save(&path) {
            Ok(()) => eprintln!("packets of {}: {}", self.name, path.display()),
            Err(error) => eprintln!("packets of {} are lost: {error:#}", self.name),
        }
    }
}

/// Joins what names a capture, as part of a file name.
fn file_name(parts: &[&str]) -> String {
    parts.join("-").replace(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_', "_")
}

/// Runs in the network namespace.
fn open(ifname: &str) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    // Without a protocol it receives nothing until it is bound, so nothing of other interfaces slips in.
    let socket = socket(AddressFamily::Packet, SockType::Raw, flags, None::<SockProtocol>)?;
    setsockopt(&socket, RcvBufForce, &KERNEL_BUFFER)?;
    bind(socket.as_raw_fd(), &address_of(ifname)?)?;
    Ok(socket)
}

fn read_until_stopped(socket: &OwnedFd, stop: &UnixStream, seen: &Mutex<Vec<Packet>>) -> io::Result<()> {
    let mut buffer = vec![0; LONGEST_PACKET];
    loop {
        let mut watched =
            [PollFd::new(socket.as_fd(), PollFlags::POLLIN), PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
        poll(&mut watched, PollTimeout::NONE)?;
        let stopped = watched.get(1).and_then(PollFd::any) == Some(true);
        while let Some(packet) = read(socket, &mut buffer)? {
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(packet);
        }
        if stopped {
            return Ok(());
        }
    }
}

fn read(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<Option<Packet>> {
    loop {
        return match recvfrom::<LinkAddr>(socket.as_raw_fd(), buffer) {
            Ok((len, from)) => Ok(Some(Packet {
                time: SystemTime::now(),
                outgoing: from.is_some_and(|from| from.pkttype() == libc::PACKET_OUTGOING),
                bytes: buffer.get(..len).unwrap_or_default().to_vec(),
            })),
            Err(Errno::EAGAIN) => Ok(None),
            // Said once when the interface goes down or away; there may be packets behind it.
            Err(Errno::ENETDOWN | Errno::EINTR) => continue,
            Err(error) => Err(error.into()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_have_no_surprises() {
        assert_eq!(file_name(&["pods::reach each/other", "n1/a", "eth0"]), "pods__reach_each_other-n1_a-eth0");
    }
}
