//! What every packet goes through, at whichever hook: the fast path here, all else in a program of its own.
//!
//! The fast path is one look-up and one rewrite, and calls nothing. Whatever it does not do itself it leaves to the program
//! of its hook and family behind [`TAILS`], which sees the packet untouched and decides everything anew. That one has a
//! stack of its own, and the verifier follows it by itself.

use aya_ebpf::{bindings::TC_ACT_SHOT, programs::TcContext};
use caracal_abi::{Flow, FlowKey, Hook, Reason, Tail, Via};
use caracal_logic::{Kind, MAX_OFFSET, Packet, control::SYN, parse, tracking};

use crate::{
    count::drop,
    draft::draft,
    family::KernelFamily,
    forward::{account, redirect},
    maps::{Draft, TAILS},
    skb::Skb,
    translate::translate,
};

/// Where the IP header begins: behind Ethernet's, for packets with VLAN tags are not ours to judge.
pub const L3: usize = 14;

/// A packet of this family: by the fast path, or by the program behind `tail`.
#[inline(always)]
pub fn walk<F: KernelFamily>(ctx: &TcContext, hook: Hook, tail: Tail) -> i32 {
    let skb = &Skb::new(ctx);
    if let Ok(packet) = parse::<F, _>(skb, L3)
        && let Some(action) = established::<F>(skb, &packet)
    {
        return action;
    }
    go_on(ctx, hook, tail)
}

/// Has another program judge the packet.
#[inline(always)]
pub fn go_on(ctx: &TcContext, hook: Hook, tail: Tail) -> i32 {
    // SAFETY: the map is a program array. It comes back only if there is nothing behind the number.
    unsafe { TAILS.tail_call(ctx, tail as u32) };
    drop(&Skb::new(ctx), hook, Reason::NoProgram)
}

/// Has the packet answered, by what the draft says.
#[inline(always)]
pub fn answered<F: KernelFamily>(ctx: &TcContext, hook: Hook) -> i32 {
    if let Some(draft) = draft::<F>() {
        draft.hook = hook as u8;
    }
    go_on(ctx, hook, F::ANSWER)
}

/// What was decided for this flow is done again.
#[inline(always)]
fn established<F: KernelFamily>(skb: &Skb<'_>, packet: &Packet<F::Addr>) -> Option<i32> {
    if !packet.kind.has_flow() || packet.ttl <= 1 || packet.fragment.more {
        return None;
    }
    let flow = F::flows().get_ptr_mut(&packet.key)?;
    // SAFETY: preallocated memory that stays valid; another CPU writing the same counters costs a count at worst.
    let flow = unsafe { &mut *flow };
    // Same tuple from elsewhere: a forger, or the address has a new owner.
    if flow.in_ifindex != skb.ifindex() || skb.len() > flow.max_len {
        return None;
    }
    if tracking::matters(flow.seen, packet.control) {
        if packet.control & SYN != 0 {
            return None;
        }
        flow.seen = tracking::seen_after(flow.seen, packet.control);
    }
    let is_sctp = flow.flags & Flow::<F::Addr>::TRANSLATED != 0 && packet.kind == Kind::Sctp;
    if flow.via > Via::Egress as u8 || is_sctp || !account(skb, flow) {
        return None;
    }
    let is_translated = flow.flags & Flow::<F::Addr>::TRANSLATED != 0;
    if is_translated && translate::<F>(skb, packet, &flow.translation).is_none() {
        return Some(TC_ACT_SHOT);
    }
    Some(redirect::<F>(skb, packet.l3, flow))
}

/// The packet, its headers pulled together if they were split over fragments, which is rare.
///
/// It is written down and read again, which the verifier does not see through: however many ways there are through the
/// headers, what follows is followed once.
#[inline(always)]
pub fn pulled<F: KernelFamily>(skb: &Skb<'_>) -> Option<Packet<F::Addr>> {
    if !skb.pull_headers() {
        return None;
    }
    let draft = draft::<F>()?;
    draft.packet = parse::<F, _>(skb, L3).ok()?;
    // SAFETY: no instruction at all, but one that may write any memory as far as the compiler knows.
    unsafe { core::arch::asm!("", options(nostack)) };
    Some(drafted::<F>(draft))
}

/// The packet that the program before this one has read and written down.
#[inline(always)]
pub fn drafted<F: KernelFamily>(draft: &Draft<F::Addr>) -> Packet<F::Addr> {
    // SAFETY: a reference is valid. Not volatile, and yet not copied field by field.
    let packet = unsafe { core::ptr::read(&raw const draft.packet) };
    let FlowKey { src, dst, sport, dport, protocol, .. } = packet.key;
    Packet { key: FlowKey::new(src, dst, sport, dport, protocol), l3: L3, l4: packet.l4 & MAX_OFFSET, ..packet }
}
