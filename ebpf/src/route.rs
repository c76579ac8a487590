//! The way of a flow that leaves by a NIC: what the host's routes and neighbours say, kept in the flow.
//!
//! The first packet of every tick asks again, and is sent by the kernel's own way of finding the neighbour, so that it goes on
//! making sure that the neighbour is there. So a route that changes, a neighbour that moves and a path that narrows are
//! noticed within little more than a second, whether an agent runs or not; the packets in between cost no look-up.

use aya_ebpf::{
    bindings::{
        BPF_FIB_LKUP_RET_BLACKHOLE, BPF_FIB_LKUP_RET_FRAG_NEEDED, BPF_FIB_LKUP_RET_NO_NEIGH, BPF_FIB_LKUP_RET_SUCCESS,
    },
    helpers::bpf_fib_lookup,
};
use caracal_abi::{Flow, FlowKey, Mac, Translation, Via};
use caracal_logic::Packet;

use crate::{
    draft::draft,
    family::KernelFamily,
    maps::{REVERSE_PATH, REVERSE_STRICT},
    skb::Skb,
};

/// Longer than any packet: nothing is known that would not let it pass.
pub const ANY_LENGTH: u32 = u32::MAX;

/// `struct bpf_fib_lookup`, without its unions.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Route {
    family: u8,
    protocol: u8,
    sport: u16,
    dport: u16,
    /// In: asks for the MTU, if it is not zero. Out: the MTU.
    len: u16,
    /// In: where the packet comes from. Out: where it leaves.
    pub ifindex: u32,
    tos: u32,
    src: [u32; 4],
    dst: [u32; 4],
    vlan: u32,
    src_mac: Mac,
    dst_mac: Mac,
}

/// Bytes of it.
const LEN: i32 = 64;
const _: () = assert!(size_of::<Route>() == 64 && size_of::<aya_ebpf::bindings::bpf_fib_lookup>() == 64);

/// Asks for the way from one address to another, for packets that come in by this interface.
#[inline(always)]
fn ask<F: KernelFamily>(skb: &Skb<'_>, route: &mut Route, src: &F::Addr, dst: &F::Addr, protocol: u8) -> u32 {
    *route = Route {
        family: F::SOCKET_FAMILY,
        protocol,
        sport: 0,
        dport: 0,
        len: 1,
        ifindex: skb.ifindex(),
        tos: 0,
        src: F::words(src),
        dst: F::words(dst),
        vlan: 0,
        src_mac: Mac::default(),
        dst_mac: Mac::default(),
    };
    // SAFETY: the context of this run, and a struct of the size that is told.
    let answer = unsafe { bpf_fib_lookup(skb.raw().cast(), core::ptr::from_mut(route).cast(), LEN, 0) };
    // Negative for what cannot be asked for, like a family that the kernel does not have: no route either.
    u32::try_from(answer).unwrap_or(u32::MAX)
}

/// Finds the way of packets like this one, and notes it in `flow`.
///
/// A function of its own in the kernel too, with a stack frame that the fast path does not carry.
#[inline(never)]
pub fn find<F: KernelFamily>(skb: Skb<'_>, key: &FlowKey<F::Addr>, flow: &mut Flow<F::Addr>) -> i32 {
    let Some(draft) = draft::<F>() else { return 0 };
    let is_translated = flow.flags & Flow::<F::Addr>::TRANSLATED != 0;
    let Translation { src, dst, .. } = flow.translation;
    let (src, dst) = if is_translated { (src, dst) } else { (key.src, key.dst) };
    let route = &mut draft.route;
    let via = match ask::<F>(&skb, route, &src, &dst, key.protocol) {
        BPF_FIB_LKUP_RET_SUCCESS => {
            flow.out_ifindex = route.ifindex;
            flow.dst_mac = route.dst_mac;
            flow.src_mac = route.src_mac;
            flow.max_len = u32::from(route.len) + ETHERNET;
            Via::Egress
        }
        BPF_FIB_LKUP_RET_NO_NEIGH | BPF_FIB_LKUP_RET_FRAG_NEEDED => {
            flow.out_ifindex = route.ifindex;
            flow.max_len = ANY_LENGTH;
            Via::Neighbour
        }
        BPF_FIB_LKUP_RET_BLACKHOLE => Via::Discard,
        // It is for the host, or the host has an answer for the sender. What was translated the host knows nothing of.
        _ if is_translated => Via::Discard,
        _ => Via::Host,
    };
    flow.via = via as u8;
    0
}

/// Bytes of an Ethernet header, which MTUs do not include.
pub const ETHERNET: u32 = 14;

/// Whether the sender of a packet is one that the host would send to, by this NIC if that is asked for.
#[inline(never)]
pub fn leads_back<F: KernelFamily>(skb: Skb<'_>, packet: &Packet<F::Addr>) -> bool {
    let mode = REVERSE_PATH.load();
    if mode == 0 {
        return true;
    }
    let Some(draft) = draft::<F>() else { return true };
    let key = &packet.key;
    let is_found = matches!(
        ask::<F>(&skb, &mut draft.route, &key.dst, &key.src, key.protocol),
        BPF_FIB_LKUP_RET_SUCCESS | BPF_FIB_LKUP_RET_NO_NEIGH | BPF_FIB_LKUP_RET_FRAG_NEEDED
    );
    is_found && (mode != REVERSE_STRICT || draft.route.ifindex == skb.ifindex())
}
