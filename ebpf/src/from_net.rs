//! What a NIC receives.
//!
//! Answers and further packets of flows that were decided here are sent on; first packets to a service of the node are
//! decided. Everything else is the host's, and not even counted.

use aya_ebpf::{bindings::TC_ACT_UNSPEC, programs::TcContext};
use caracal_abi::Hook;
use caracal_logic::{Family, Malformed, V4, V6, link, parse};

use crate::{
    family::KernelFamily,
    services::{self, NO_SERVICE},
    skb::Skb,
    walk::{PULL, established, judge_linear},
};

pub fn run(ctx: &TcContext) -> i32 {
    let action = judge_linear(ctx, judge);
    if action == PULL { TC_ACT_UNSPEC } else { action }
}

/// A function of its own in the kernel too: written out twice, it would not fit the stack.
#[inline(never)]
fn judge(skb: Skb<'_>) -> i32 {
    let link = match link(&skb) {
        Ok(link) => link,
        Err(malformed) => return refuse(malformed),
    };
    if link.vlan.is_some() || skb.has_vlan_tag() {
        return TC_ACT_UNSPEC;
    }
    match link.ether_type.get() {
        V4::ETHER_TYPE => judge_ip::<V4>(&skb, link.l3),
        V6::ETHER_TYPE => judge_ip::<V6>(&skb, link.l3),
        _ => TC_ACT_UNSPEC,
    }
}

#[inline(always)]
fn judge_ip<F: KernelFamily>(skb: &Skb<'_>, l3: usize) -> i32 {
    let packet = match parse::<F, _>(skb, l3) {
        Ok(packet) => packet,
        Err(malformed) => return refuse(malformed),
    };
    if let Some(action) = established::<F>(skb, &packet) {
        return action;
    }
    match services::first::<F>(*skb, &packet, Hook::FromNet) {
        NO_SERVICE => TC_ACT_UNSPEC,
        action => action,
    }
}

/// The host's stack says what is wrong with it.
#[inline(always)]
fn refuse(malformed: Malformed) -> i32 {
    if malformed == Malformed::TooShort { PULL } else { TC_ACT_UNSPEC }
}
