//! Caracal's eBPF programs: one object, one program per hook, both address families in each.
//!
//! A program parses the packet once (`caracal-logic`), asks the maps, and answers with one verdict. Everything that
//! can be decided without a map or a helper lives in `caracal-logic`, where it is tested on the host.

#![no_std]
#![feature(asm_experimental_arch)]
#![no_main]
#![expect(
    clippy::inline_always,
    reason = "BPF functions return scalars only, and a call costs as much as what these do"
)]
#![expect(clippy::trivially_copy_pass_by_ref, reason = "inlined: nothing is passed")]

mod beside;
mod count;
mod draft;
mod family;
mod forward;
mod from_net;
mod from_pod;
mod maps;
mod services;
mod skb;
mod sock;
mod translate;
mod walk;

use aya_ebpf::{
    macros::{cgroup_sock_addr, classifier},
    programs::{SockAddrContext, TcContext},
};

/// tcx ingress of a pod's host-side veth.
#[classifier]
#[expect(clippy::needless_pass_by_value, reason = "the macro's signature")]
fn from_pod(ctx: TcContext) -> i32 {
    from_pod::run(&ctx)
}

/// tcx ingress of a NIC.
#[classifier]
#[expect(clippy::needless_pass_by_value, reason = "the macro's signature")]
fn from_net(ctx: TcContext) -> i32 {
    from_net::run(&ctx)
}

/// connect of IPv4 sockets.
#[cgroup_sock_addr(connect4)]
#[expect(clippy::needless_pass_by_value, reason = "the macro's signature")]
fn connect4(ctx: SockAddrContext) -> i32 {
    sock::forth4(sock::Call::new(&ctx))
}

/// connect of IPv6 sockets.
#[cgroup_sock_addr(connect6)]
#[expect(clippy::needless_pass_by_value, reason = "the macro's signature")]
fn connect6(ctx: SockAddrContext) -> i32 {
    sock::forth6(sock::Call::new(&ctx))
}

/// sendmsg of IPv4 sockets.
#[cgroup_sock_addr(sendmsg4)]
#[expect(clippy::needless_pass_by_value, reason = "the macro's signature")]
fn sendmsg4(ctx: SockAddrContext) -> i32 {
    sock::forth4(sock::Call::new(&ctx))
}

/// sendmsg of IPv6 sockets.
#[cgroup_sock_addr(sendmsg6)]
#[expect(clippy::needless_pass_by_value, reason = "the macro's signature")]
fn sendmsg6(ctx: SockAddrContext) -> i32 {
    sock::forth6(sock::Call::new(&ctx))
}

/// recvmsg of IPv4 sockets.
#[cgroup_sock_addr(recvmsg4)]
#[expect(clippy::needless_pass_by_value, reason = "the macro's signature")]
fn recvmsg4(ctx: SockAddrContext) -> i32 {
    sock::back4(sock::Call::new(&ctx))
}

/// recvmsg of IPv6 sockets.
#[cgroup_sock_addr(recvmsg6)]
#[expect(clippy::needless_pass_by_value, reason = "the macro's signature")]
fn recvmsg6(ctx: SockAddrContext) -> i32 {
    sock::back6(sock::Call::new(&ctx))
}

/// getpeername of IPv4 sockets.
#[cgroup_sock_addr(getpeername4)]
#[expect(clippy::needless_pass_by_value, reason = "the macro's signature")]
fn getpeername4(ctx: SockAddrContext) -> i32 {
    sock::back4(sock::Call::new(&ctx))
}

/// getpeername of IPv6 sockets.
#[cgroup_sock_addr(getpeername6)]
#[expect(clippy::needless_pass_by_value, reason = "the macro's signature")]
fn getpeername6(ctx: SockAddrContext) -> i32 {
    sock::back6(sock::Call::new(&ctx))
}

/// The helpers these programs call are for GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier refuses programs that can come here.
    loop {}
}
