//! The few things that need `unsafe`, or a raw message to the kernel. Nothing else in this crate may use `unsafe`.

use std::{
    fs::File,
    io,
    os::{fd::AsRawFd, unix::process::CommandExt},
    process::Command,
    sync::Arc,
};

use nix::{
    errno::Errno,
    libc,
    sys::{
        signal::SigSet,
        socket::{
            AddressFamily, LinkAddr, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, SockaddrLike, recv,
            sendto, socket,
        },
    },
    unistd,
};

/// A command of the lab. The one place where this crate names a program to run.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    #[expect(clippy::disallowed_methods, reason = "the lab exists to run programs inside its nodes")]
    Command::new(program)
}

/// Makes the child move itself into the cgroup behind `procs` (an open `cgroup.procs`) before it runs the program, so
/// that not one instruction of the program runs outside the cgroup. It gets all signals, whatever this thread blocks.
pub(crate) fn join_cgroup_before_exec(command: &mut Command, procs: Arc<File>) {
    let nothing = SigSet::empty();
    let prepare = move || {
        unistd::write(&procs, b"0")?;
        nothing.thread_set_mask()?;
        Ok(())
    };
    // SAFETY: between fork and exec the closure makes two system calls, write(2) on a descriptor that it owns and
    // sigprocmask(2): no allocation, no lock.
    unsafe { command.pre_exec(prepare) };
}

/// The address of everything on interface `ifindex`, as a packet socket wants it.
pub(crate) fn packet_address(ifindex: u32) -> Option<LinkAddr> {
    let address = libc::sockaddr_ll {
        sll_family: u16::try_from(libc::AF_PACKET).ok()?,
        sll_protocol: u16::try_from(libc::ETH_P_ALL).ok()?.to_be(),
        sll_ifindex: i32::try_from(ifindex).ok()?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr: [0; 8],
    };
    let len = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>()).ok()?;
    // SAFETY: the pointer is to a live sockaddr_ll of exactly `len` bytes with its family set; it is copied from.
    unsafe { LinkAddr::from_raw((&raw const address).cast(), Some(len)) }
}

/// Sets an option of a socket that is a number, of those that nix does not know.
pub(crate) fn set_option(socket: &impl AsRawFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    let len = libc::socklen_t::try_from(size_of::<i32>()).map_err(io::Error::other)?;
    // SAFETY: the pointer is to a live i32 of exactly `len` bytes, which is copied from.
    let set = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), len) };
    Errno::result(set).map(drop).map_err(io::Error::from)
}

/// Asks for one.
pub(crate) fn option(socket: &impl AsRawFd, level: i32, name: i32) -> io::Result<i32> {
    let mut value = 0_i32;
    let mut len = libc::socklen_t::try_from(size_of::<i32>()).map_err(io::Error::other)?;
    // SAFETY: the pointers are to a live i32 of exactly `len` bytes, which is written to, and to `len` itself.
    let got = unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut len) };
    Errno::result(got).map_err(io::Error::from)?;
    Ok(value)
}

/// Sets the loopback interface of this thread's network namespace up: one `RTM_NEWLINK`, since starting `ip` for it
/// costs more than making the namespace.
pub(crate) fn set_loopback_up() -> io::Result<()> {
    const LOOPBACK_INDEX: u32 = 1;
    let up = libc::IFF_UP.cast_unsigned();
    let flags = u16::try_from(libc::NLM_F_REQUEST | libc::NLM_F_ACK).map_err(io::Error::other)?;
    let mut message = Vec::with_capacity(32);
    // struct nlmsghdr: length, type, flags, sequence, port
    message.extend(32_u32.to_ne_bytes());
    message.extend(libc::RTM_NEWLINK.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend(1_u32.to_ne_bytes());
    message.extend(0_u32.to_ne_bytes());
    // struct ifinfomsg: family, pad, type, index, flags, mask of flags to change
    message.extend([0; 4]);
    message.extend(LOOPBACK_INDEX.to_ne_bytes());
    message.extend(up.to_ne_bytes());
    message.extend(up.to_ne_bytes());

    let netlink = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
    sendto(netlink.as_raw_fd(), &message, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut answer = [0; 64];
    let len = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    // struct nlmsgerr follows the header: the negative errno, 0 for success.
    match answer.get(16..20).filter(|_| len >= 20).and_then(|code| code.try_into().ok()).map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(code) => Err(Errno::from_raw(-code).into()),
        None => Err(io::Error::other("the kernel's answer to RTM_NEWLINK is too short")),
    }
}
