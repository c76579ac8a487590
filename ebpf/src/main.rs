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

mod answer;
mod beside;
mod count;
mod draft;
mod events;
mod family;
mod forward;
mod fragments;
mod from_net;
mod from_pod;
mod maps;
mod outside;
mod related;
mod route;
mod services;
mod skb;
mod sock;
mod table;
mod translate;
mod walk;

use aya_ebpf::{
    macros::{cgroup_sock_addr, classifier},
    programs::{SockAddrContext, TcContext},
};
use caracal_logic::{V4, V6};

/// One program for each hook of packets, and for each family what its fast path leaves.
macro_rules! packet_programs {
    ($($(#[doc = $doc:literal])+ $name:ident => $walk:expr;)+) => { $(
        $(#[doc = $doc])+
        #[classifier]
        fn $name(ctx: TcContext) -> i32 {
            $walk(&ctx)
        }
    )+ };
}

/// Those that have the last word on a packet, which the other fragments of its datagram are told.
macro_rules! judging_programs {
    ($($(#[doc = $doc:literal])+ $name:ident => $module:ident::decide::<$family:ident>;)+) => {
        packet_programs! { $(
            $(#[doc = $doc])+
            $name => (|ctx| fragments::after::<$family>(ctx, $module::decide::<$family>(ctx)));
        )+ }
    };
}

packet_programs! {
    /// tcx ingress of a pod's host-side veth.
    from_pod => from_pod::run;
    /// tcx ingress of a NIC.
    from_net => from_net::run;
    /// Packets to be answered, IPv4.
    answer4 => (|ctx| fragments::instead::<V4>(ctx, answer::decide::<V4>(ctx)));
    /// The same, IPv6.
    answer6 => (|ctx| fragments::instead::<V6>(ctx, answer::decide::<V6>(ctx)));
    /// Fragments that are not the first, behind `from_pod4`.
    from_pod_frag4 => from_pod::later_fragment::<V4>;
    /// The same behind `from_pod6`.
    from_pod_frag6 => from_pod::later_fragment::<V6>;
    /// The same behind `from_net4`.
    from_net_frag4 => from_net::later_fragment::<V4>;
    /// The same behind `from_net6`.
    from_net_frag6 => from_net::later_fragment::<V6>;
    /// First fragments that come after others.
    release => fragments::release;
}

judging_programs! {
    /// Behind `from_pod`, for IPv4 that the fast path leaves.
    from_pod4 => from_pod::decide::<V4>;
    /// The same for IPv6.
    from_pod6 => from_pod::decide::<V6>;
    /// Behind `from_net`, for IPv4 that the fast path leaves.
    from_net4 => from_net::decide::<V4>;
    /// The same for IPv6.
    from_net6 => from_net::decide::<V6>;
    /// First packets that may be for a service, IPv4.
    service4 => services::decide::<V4>;
    /// The same, IPv6.
    service6 => services::decide::<V6>;
    /// First packets to nobody on this node, IPv4.
    outside4 => outside::decide::<V4>;
    /// The same, IPv6.
    outside6 => outside::decide::<V6>;
    /// ICMP errors, IPv4.
    related4 => related::decide::<V4>;
    /// The same, IPv6.
    related6 => related::decide::<V6>;
}

/// One program for each call of sockets of each family.
macro_rules! socket_programs {
    ($($name:ident => $walk:path;)+) => { $(
        #[cgroup_sock_addr($name)]
        fn $name(ctx: SockAddrContext) -> i32 {
            $walk(sock::Call::new(&ctx))
        }
    )+ };
}

socket_programs! {
    connect4 => sock::forth4;
    connect6 => sock::forth6;
    sendmsg4 => sock::forth4;
    sendmsg6 => sock::forth6;
    recvmsg4 => sock::back4;
    recvmsg6 => sock::back6;
    getpeername4 => sock::back4;
    getpeername6 => sock::back6;
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
