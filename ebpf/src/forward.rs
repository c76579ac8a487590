//! Doing to a packet what its flow says.

use core::ptr::null_mut;

use aya_ebpf::{
    bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC},
    helpers::{bpf_redirect, bpf_redirect_neigh, bpf_redirect_peer, generated::bpf_jiffies64},
};
use caracal_abi::{Endpoint, Flow, FlowKey, Ip4, Via};
use caracal_logic::{Kind, Packet, headers};

use crate::{
    answer::{self, Trouble},
    family::KernelFamily,
    maps::{REDIRECT_PEER, TICK_SHIFT},
    route::{self, ETHERNET},
    skb::Skb,
    translate::{sctp_ports, translate},
};

/// How packets reach a pod of this node.
#[inline(always)]
pub fn via(endpoint: &Endpoint) -> Via {
    if REDIRECT_PEER.load() == 0 || endpoint.flags & Endpoint::QUEUED != 0 { Via::Egress } else { Via::Peer }
}

/// Notes that a packet of this flow went by; not if it is to ask for its way again, which the slow path does.
#[inline(always)]
pub fn account<A>(skb: &Skb<'_>, flow: &mut Flow<A>) -> bool {
    let now = now();
    if flow.last_seen != now {
        if flow.flags & Flow::<A>::ROUTED != 0 {
            return false;
        }
        // Most packets leave the line's dirty part to the counters alone.
        flow.last_seen = now;
    }
    add(skb, flow);
    true
}

#[inline(always)]
fn add<A>(skb: &Skb<'_>, flow: &mut Flow<A>) {
    flow.packets += 1;
    flow.bytes += u64::from(skb.len());
}

/// The tick it is. No call: the verifier makes a memory read of it.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "stamps are as wide")]
pub fn now() -> u32 {
    // SAFETY: takes nothing, returns a number.
    (unsafe { bpf_jiffies64() } >> TICK_SHIFT.load()) as u32
}

/// A decided flow goes on. The first packet of a tick asks the host's routes again, and leaves by the kernel's way of finding
/// the neighbour, which makes sure that it is there.
#[inline(always)]
pub fn go<F: KernelFamily>(skb: &Skb<'_>, packet: &Packet<F::Addr>, flow: &mut Flow<F::Addr>) -> i32 {
    let is_first = notice::<F>(skb, &packet.key, flow);
    if let Some(action) = too_long::<F>(skb, packet, flow) {
        return action;
    }
    if flow.via == Via::Reset as u8 {
        return answer::with::<F>(Trouble::Reset, 0);
    }
    if flow.flags & Flow::<F::Addr>::TRANSLATED != 0 && translate_all::<F>(skb, packet, flow).is_none() {
        return TC_ACT_SHOT;
    }
    leave::<F>(skb, packet.l3, flow, is_first)
}

/// Notes a packet of a decided flow, and finds the way again if it is the first of its tick; says whether it is.
#[inline(always)]
pub fn notice<F: KernelFamily>(skb: &Skb<'_>, key: &FlowKey<F::Addr>, flow: &mut Flow<F::Addr>) -> bool {
    let is_first = !account(skb, flow);
    if is_first {
        flow.last_seen = now();
        add(skb, flow);
    }
    // Until the neighbour is known every packet asks: sent by a route of a moment ago, it would wait for somebody who is not
    // there, and its sender with it.
    if is_first || flow.via == Via::Neighbour as u8 {
        route::find::<F>(*skb, key, flow);
    }
    is_first
}

/// Lets a packet that has been translated go, the first of a tick by the kernel's way of finding the neighbour.
#[inline(always)]
pub fn leave<F: KernelFamily>(skb: &Skb<'_>, l3: usize, flow: &Flow<F::Addr>, is_first: bool) -> i32 {
    if is_first && flow.via == Via::Egress as u8 {
        return by_neighbour::<F>(skb, l3, flow);
    }
    send_translated::<F>(skb, l3, flow)
}

/// A packet that is no part of a flow but related to it, and translated already, goes where the flow leads.
#[inline(always)]
pub fn go_related<F: KernelFamily>(skb: &Skb<'_>, packet: &Packet<F::Addr>, flow: &mut Flow<F::Addr>) -> i32 {
    if flow.last_seen != now() && flow.flags & Flow::<F::Addr>::ROUTED != 0 {
        flow.last_seen = now();
        route::find::<F>(*skb, &packet.key, flow);
    }
    send_translated::<F>(skb, packet.l3, flow)
}

/// A packet that does not fit the way out: the host cuts it up or tells its sender. What is translated the host does not know,
/// so its sender is told here, whether it forbids cutting or not.
#[inline(always)]
pub fn too_long<F: KernelFamily>(skb: &Skb<'_>, packet: &Packet<F::Addr>, flow: &Flow<F::Addr>) -> Option<i32> {
    if skb.len() <= flow.max_len || fits(skb, packet, flow.max_len) {
        return None;
    }
    if flow.flags & Flow::<F::Addr>::TRANSLATED == 0 {
        return Some(TC_ACT_UNSPEC);
    }
    Some(answer::with::<F>(Trouble::TooBig, flow.max_len - ETHERNET))
}

/// Whether a packet that is longer than what the way out takes in one piece is several pieces.
#[inline(always)]
fn fits<A>(skb: &Skb<'_>, packet: &Packet<A>, max_len: u32) -> bool {
    let piece = skb.gso_size();
    piece != 0 && piece + skb.headers_len(packet) <= max_len
}

/// Sends a packet where its flow leads.
#[inline(always)]
pub fn send<F: KernelFamily>(skb: &Skb<'_>, packet: &Packet<F::Addr>, flow: &Flow<F::Addr>) -> i32 {
    if flow.flags & Flow::<F::Addr>::TRANSLATED != 0 && translate_all::<F>(skb, packet, flow).is_none() {
        return TC_ACT_SHOT;
    }
    send_translated::<F>(skb, packet.l3, flow)
}

/// [`translate`], and SCTP's ports, whose checksum is a call.
#[inline(always)]
fn translate_all<F: KernelFamily>(skb: &Skb<'_>, packet: &Packet<F::Addr>, flow: &Flow<F::Addr>) -> Option<()> {
    translate::<F>(skb, packet, &flow.translation)?;
    if packet.kind == Kind::Sctp { sctp_ports(skb, packet, &flow.translation) } else { Some(()) }
}

/// The rest of sending: ages the packet and lets it go.
#[inline(always)]
fn send_translated<F: KernelFamily>(skb: &Skb<'_>, l3: usize, flow: &Flow<F::Addr>) -> i32 {
    match flow.via() {
        Some(Via::Peer | Via::Egress) => redirect::<F>(skb, l3, flow),
        Some(Via::Neighbour) => by_neighbour::<F>(skb, l3, flow),
        Some(Via::Host) => TC_ACT_UNSPEC,
        Some(Via::Discard | Via::Reset) | None => TC_ACT_SHOT,
    }
}

/// Ages the packet and sends it to known Ethernet addresses.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the kernel's actions are small numbers")]
pub fn redirect<F: KernelFamily>(skb: &Skb<'_>, l3: usize, flow: &Flow<F::Addr>) -> i32 {
    if rewrite::<F>(skb, l3, flow).is_none() {
        return TC_ACT_SHOT;
    }
    let peer = flow.via == Via::Peer as u8 && REDIRECT_PEER.load() != 0;
    if peer {
        // SAFETY: takes an interface index and flags; for one that is gone it answers "drop".
        unsafe { bpf_redirect_peer(flow.out_ifindex, 0) as i32 }
    } else {
        // SAFETY: the same.
        unsafe { bpf_redirect(flow.out_ifindex, 0) as i32 }
    }
}

/// Ages the packet and leaves it to the kernel to find the neighbour.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the kernel's actions are small numbers")]
fn by_neighbour<F: KernelFamily>(skb: &Skb<'_>, l3: usize, flow: &Flow<F::Addr>) -> i32 {
    if age::<F>(skb, l3, flow).is_none() {
        return TC_ACT_SHOT;
    }
    // SAFETY: takes an interface index, no parameters and flags; it writes the Ethernet addresses.
    unsafe { bpf_redirect_neigh(flow.out_ifindex, null_mut(), 0, 0) as i32 }
}

/// Writes the new Ethernet addresses and takes one from the lifetime.
#[inline(always)]
#[expect(clippy::cast_ptr_alignment, reason = "asserted below")]
fn rewrite<F: KernelFamily>(skb: &Skb<'_>, l3: usize, flow: &Flow<F::Addr>) -> Option<()> {
    // Destination and source lie side by side in the packet as in `Flow`: three words instead of twelve bytes.
    let addresses: *mut [u32; 3] = skb.writable(0)?;
    // SAFETY: `Flow` has both addresses at an offset that is a multiple of four (asserted below).
    let [a, b, c] = unsafe { (&raw const flow.dst_mac).cast::<[u32; 3]>().read() };
    // SAFETY: in bounds as `writable` checked; alignment as in `Skb::read`.
    let packet = unsafe { &mut *addresses };
    // One by one: as a whole it would become a call of `memcpy`.
    [packet[0], packet[1], packet[2]] = [a, b, c];
    age::<F>(skb, l3, flow)
}

/// Takes one from the lifetime. What a NIC has summed up must know where no checksum changes along.
#[inline(always)]
fn age<F: KernelFamily>(skb: &Skb<'_>, l3: usize, flow: &Flow<F::Addr>) -> Option<()> {
    const ONE_LESS: u16 = 0xfffe_u16.to_be();

    F::age(skb, l3)?;
    if !F::HEADER_HAS_CHECKSUM && flow.flags & Flow::<F::Addr>::FROM_NET != 0 {
        skb.change_whole_sum(ONE_LESS);
    }
    Some(())
}

const _: () = assert!(core::mem::offset_of!(Flow<Ip4>, dst_mac) % 4 == 0);
const _: () = assert!(core::mem::offset_of!(Flow<Ip4>, src_mac) == core::mem::offset_of!(Flow<Ip4>, dst_mac) + 6);
const _: () = assert!(core::mem::offset_of!(headers::Ethernet, src) == 6);
