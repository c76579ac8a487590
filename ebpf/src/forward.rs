//! Doing to a packet what its flow says.

use core::ptr::null_mut;

use aya_ebpf::{
    bindings::TC_ACT_SHOT,
    helpers::{bpf_ktime_get_coarse_ns, bpf_redirect, bpf_redirect_neigh, bpf_redirect_peer},
};
use caracal_abi::{Endpoint, Flow, Ip4, Via};
use caracal_logic::{Packet, headers};

use crate::{family::KernelFamily, maps::REDIRECT_PEER, skb::Skb, translate::translate};

const SECOND_NS: u64 = 1_000_000_000;

/// How packets reach a pod of this node.
#[inline(always)]
pub fn via(endpoint: &Endpoint) -> Via {
    if REDIRECT_PEER.load() == 0 || endpoint.flags & Endpoint::QUEUED != 0 { Via::Egress } else { Via::Peer }
}

/// Notes that a packet of this flow went by.
#[inline(always)]
pub fn account<A>(skb: &Skb<'_>, flow: &mut Flow<A>) {
    flow.packets += 1;
    flow.bytes += u64::from(skb.len());
    let now = now_ns();
    // Most packets leave the line's dirty part to the counters alone.
    if now.wrapping_sub(flow.last_seen_ns) > SECOND_NS {
        flow.last_seen_ns = now;
    }
}

/// Monotonic time of the last tick: a memory read, where the exact clock costs as much as the flow look-up.
#[inline(always)]
pub fn now_ns() -> u64 {
    // SAFETY: takes nothing, returns a number.
    unsafe { bpf_ktime_get_coarse_ns() }
}

/// Translates the packet if its flow says so, ages it, and sends it to where the flow leads.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the kernel's actions are small numbers")]
pub fn send<F: KernelFamily>(skb: &Skb<'_>, packet: &Packet<F::Addr>, flow: &Flow<F::Addr>) -> i32 {
    if flow.flags & Flow::<F::Addr>::TRANSLATED != 0 && translate::<F>(skb, packet, &flow.translation).is_none() {
        return TC_ACT_SHOT;
    }
    if flow.via == Via::Neighbour as u8 {
        if F::age(skb, packet.l3).is_none() {
            return TC_ACT_SHOT;
        }
        // SAFETY: takes an interface index, no parameters and flags; it writes the Ethernet addresses.
        return unsafe { bpf_redirect_neigh(flow.out_ifindex, null_mut(), 0, 0) as i32 };
    }
    if rewrite::<F>(skb, packet.l3, flow).is_none() {
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
    F::age(skb, l3)
}

const _: () = assert!(core::mem::offset_of!(Flow<Ip4>, dst_mac) % 4 == 0);
const _: () = assert!(core::mem::offset_of!(Flow<Ip4>, src_mac) == core::mem::offset_of!(Flow<Ip4>, dst_mac) + 6);
const _: () = assert!(core::mem::offset_of!(headers::Ethernet, src) == 6);
