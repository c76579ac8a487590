//! What every packet goes through, at whichever hook: headers made linear if need be, then the flow it belongs to.

use aya_ebpf::{bindings::TC_ACT_UNSPEC, programs::TcContext};
use caracal_abi::Via;
use caracal_logic::Packet;

use crate::{
    beside,
    family::KernelFamily,
    forward::{account, send},
    maps::HOST_NAT,
    skb::Skb,
};

/// Not an action of the kernel's: the headers are not all in the linear part of the packet.
pub const PULL: i32 = i32::MIN;

/// Judges a packet, and once more with its headers pulled together where they were split over fragments, which is rare.
/// Still [`PULL`] after that means cut short.
#[inline(always)]
pub fn judge_linear(ctx: &TcContext, judge: impl Fn(Skb<'_>) -> i32) -> i32 {
    let skb = Skb::new(ctx);
    let action = judge(skb);
    if action != PULL {
        return action;
    }
    if skb.pull_headers() { judge(skb) } else { PULL }
}

/// The fast path: what was decided for this flow is done again.
#[inline(always)]
pub fn established<F: KernelFamily>(skb: &Skb<'_>, packet: &Packet<F::Addr>) -> Option<i32> {
    if !packet.kind.has_flow() || packet.ttl <= 1 {
        return None;
    }
    let flow = F::flows().get_ptr_mut(&packet.key)?;
    // SAFETY: preallocated memory that stays valid; another CPU writing the same counters costs a count at worst.
    let flow = unsafe { &mut *flow };
    // Same tuple from elsewhere: a forger, or the address has a new owner. The slow path tells them apart.
    if flow.in_ifindex != skb.ifindex() {
        return None;
    }
    if HOST_NAT.load() != 0 && beside::opens(packet, flow) {
        return None;
    }
    account(skb, flow);
    if flow.via == Via::Host as u8 {
        return Some(TC_ACT_UNSPEC);
    }
    Some(send::<F>(skb, packet, flow))
}
