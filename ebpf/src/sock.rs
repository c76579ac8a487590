//! Sockets that talk to a service: told at connect, or with each datagram, whom they really talk to.
//!
//! What is decided here costs packets nothing. It is also the only place where a service on a loopback address can be
//! reached: packets to loopback never come to a NIC or a veth.

use aya_ebpf::{
    bindings::bpf_sock_addr,
    helpers::{bpf_get_netns_cookie, bpf_get_socket_cookie},
    programs::SockAddrContext,
};
use caracal_abi::{Address, Be16, Ip4, Ip6, Service, ServiceKey, SocketKey, SocketPeer};
use caracal_logic::{V4, V6};

use crate::{family::KernelFamily, maps::HOST_NETNS};

const TCP: u8 = 6;
const UDP: u8 = 17;
const MPTCP: u32 = 262;

/// The kernel goes on with the call.
const ALLOW: i32 = 1;

/// The address a socket call is about.
#[derive(Clone, Copy)]
pub struct Call {
    raw: *mut bpf_sock_addr,
}

impl Call {
    #[inline(always)]
    pub fn new(ctx: &SockAddrContext) -> Self {
        Self { raw: ctx.sock_addr }
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "a port")]
    fn port(self) -> Be16 {
        // SAFETY: the kernel's context outlives the program's run.
        Be16::from_memory(unsafe { (*self.raw).user_port } as u16)
    }

    #[inline(always)]
    fn set_port(self, port: Be16) {
        // SAFETY: as in `port`.
        unsafe { (*self.raw).user_port = port.memory() };
    }

    #[inline(always)]
    fn ip4(self) -> Ip4 {
        // SAFETY: as in `port`.
        Ip4::from_memory(unsafe { (*self.raw).user_ip4 })
    }

    #[inline(always)]
    fn set_ip4(self, addr: Ip4) {
        // SAFETY: as in `port`.
        unsafe { (*self.raw).user_ip4 = addr.memory() };
    }

    /// Word by word: the context is not memory that could be copied.
    #[inline(always)]
    fn ip6(self) -> Ip6 {
        // SAFETY: as in `port`.
        let word = |n: usize| unsafe { (*self.raw).user_ip6[n] };
        Ip6::from_memory([word(0), word(1), word(2), word(3)])
    }

    #[inline(always)]
    fn set_ip6(self, addr: Ip6) {
        let [a, b, c, d] = addr.memory();
        // SAFETY: as in `port`.
        let words = unsafe { &mut (*self.raw).user_ip6 };
        words[0] = a;
        words[1] = b;
        words[2] = c;
        words[3] = d;
    }

    #[inline(always)]
    fn protocol(self) -> Option<u8> {
        // SAFETY: as in `port`.
        match unsafe { (*self.raw).protocol } {
            6 | MPTCP => Some(TCP),
            17 => Some(UDP),
            _ => None,
        }
    }

    #[inline(always)]
    fn cookie(self) -> u64 {
        // SAFETY: takes the context of this run.
        unsafe { bpf_get_socket_cookie(self.raw.cast()) }
    }

    #[inline(always)]
    fn is_on_the_host(self) -> bool {
        // SAFETY: takes the context of this run.
        let netns = unsafe { bpf_get_netns_cookie(self.raw.cast()) };
        netns == HOST_NETNS.load()
    }

    /// The service at `addr`, as seen from where this socket is.
    #[inline(always)]
    fn service<F: KernelFamily>(self, addr: &F::Addr) -> Option<Service<F::Addr>> {
        let (port, protocol) = (self.port(), self.protocol()?);
        // In a pod these are the pod.
        let is_loopback = addr.is_loopback() || addr.is_unspecified();
        if is_loopback && !self.is_on_the_host() {
            return None;
        }
        if let Some(service) = F::service(&ServiceKey::new(*addr, port, protocol)) {
            return Some(service);
        }
        if !is_loopback && !F::is_node(addr) {
            return None;
        }
        F::service(&ServiceKey::new(F::Addr::default(), port, protocol))
    }

    /// Whom to talk to instead of `addr`. It is remembered for the way back.
    #[inline(always)]
    fn forth<F: KernelFamily>(self, addr: &F::Addr) -> Option<F::Addr> {
        let service = self.service::<F>(addr)?;
        let key = SocketKey::new(self.cookie(), service.backend, service.port);
        let peer = SocketPeer::new(*addr, self.port());
        // Where there is no room, the socket works, but is told the backend's address.
        let _ = F::socket_peers().insert(&key, &peer, 0);
        self.set_port(service.port);
        Some(service.backend)
    }

    /// Whom the socket believes to talk to when it talks to `addr`.
    #[inline(always)]
    fn back<F: KernelFamily>(self, addr: &F::Addr) -> Option<F::Addr> {
        let key = SocketKey::new(self.cookie(), *addr, self.port());
        // SAFETY: copied out at once; a torn read needs the entry to be reused at that very moment.
        let peer = unsafe { F::socket_peers().get(&key) }.copied()?;
        self.set_port(peer.port);
        Some(peer.addr)
    }
}

/// connect and sendmsg of IPv4 sockets.
#[inline(always)]
pub fn forth4(call: Call) -> i32 {
    if let Some(addr) = call.forth::<V4>(&call.ip4()) {
        call.set_ip4(addr);
    }
    ALLOW
}

/// connect and sendmsg of IPv6 sockets, which speak IPv4 as well.
#[inline(always)]
pub fn forth6(call: Call) -> i32 {
    let addr = call.ip6();
    if let Some(v4) = addr.as_v4() {
        if let Some(addr) = call.forth::<V4>(&v4) {
            call.set_ip6(Ip6::from_v4(addr));
        }
    } else if let Some(addr) = call.forth::<V6>(&addr) {
        call.set_ip6(addr);
    }
    ALLOW
}

/// recvmsg and getpeername of IPv4 sockets.
#[inline(always)]
pub fn back4(call: Call) -> i32 {
    if let Some(addr) = call.back::<V4>(&call.ip4()) {
        call.set_ip4(addr);
    }
    ALLOW
}

/// recvmsg and getpeername of IPv6 sockets, which speak IPv4 as well.
#[inline(always)]
pub fn back6(call: Call) -> i32 {
    let addr = call.ip6();
    if let Some(v4) = addr.as_v4() {
        if let Some(addr) = call.back::<V4>(&v4) {
            call.set_ip6(Ip6::from_v4(addr));
        }
    } else if let Some(addr) = call.back::<V6>(&addr) {
        call.set_ip6(addr);
    }
    ALLOW
}
