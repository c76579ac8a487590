//! Services: who answers at an address and port that no pod has.

use crate::Be16;

/// Key of `SERVICES4` and `SERVICES6`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ServiceKey<A> {
    /// The address; unspecified stands for every address of the node.
    pub addr: A,
    /// The port.
    pub port: Be16,
    /// IP protocol number.
    pub protocol: u8,
    _pad8: u8,
    _pad32: u32,
}

impl<A: Copy> ServiceKey<A> {
    /// From its parts.
    #[inline(always)]
    pub const fn new(addr: A, port: Be16, protocol: u8) -> Self {
        Self { addr, port, protocol, _pad8: 0, _pad32: 0 }
    }
}

/// Value of `SERVICES4` and `SERVICES6`: the one who answers.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Service<A> {
    /// A pod's address.
    pub backend: A,
    /// Its port.
    pub port: Be16,
    #[doc(hidden)]
    pub _pad16: u16,
    /// The host-side veth of the pod that this is a port mapping for.
    pub owner: u32,
}

/// Key of `SOCK_REV4` and `SOCK_REV6`: a socket, and whom it was made to talk to.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SocketKey<A> {
    /// The socket, in halves: whole, it would align the key to more than IPv4's fills.
    pub cookie: [u32; 2],
    /// The backend's address.
    pub addr: A,
    /// The backend's port.
    pub port: Be16,
    _pad16: u16,
    _pad32: u32,
}

impl<A: Copy> SocketKey<A> {
    /// From its parts.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the halves")]
    pub const fn new(cookie: u64, addr: A, port: Be16) -> Self {
        Self { cookie: [cookie as u32, (cookie >> 32) as u32], addr, port, _pad16: 0, _pad32: 0 }
    }
}

/// Value of `SOCK_REV4` and `SOCK_REV6`: whom it believes to talk to.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketPeer<A> {
    /// The service's address.
    pub addr: A,
    /// The service's port.
    pub port: Be16,
    _pad16: u16,
    _pad32: u32,
}

impl<A: Copy> SocketPeer<A> {
    /// From its parts.
    #[inline(always)]
    pub const fn new(addr: A, port: Be16) -> Self {
        Self { addr, port, _pad16: 0, _pad32: 0 }
    }
}

const _: () = assert!(size_of::<ServiceKey<crate::Ip4>>() == 12 && size_of::<ServiceKey<crate::Ip6>>() == 24);
const _: () = assert!(size_of::<Service<crate::Ip4>>() == 12 && size_of::<Service<crate::Ip6>>() == 24);
const _: () = assert!(size_of::<SocketPeer<crate::Ip4>>() == 12 && size_of::<SocketPeer<crate::Ip6>>() == 24);
const _: () = assert!(size_of::<SocketKey<crate::Ip4>>() == 20 && size_of::<SocketKey<crate::Ip6>>() == 32);
