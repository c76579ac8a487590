//! What a NIC receives.
//!
//! Answers and further packets of flows that were decided here are sent on; first packets to a service of the node are
//! decided. Everything else is the host's, and not even counted.

use aya_ebpf::{bindings::TC_ACT_UNSPEC, programs::TcContext};
use caracal_abi::{Endpoint, Flow, Hook, Reason, Tail};
use caracal_logic::{Family, Kind, Packet, V4, V6};

use crate::{
    answer::{self, ANSWER, Trouble},
    count::{count, drop},
    draft::{begin, draft, out_of, towards},
    family::KernelFamily,
    forward::send,
    fragments,
    maps::HOST_NAT,
    route,
    skb::Skb,
    table,
    walk::{L3, answered, drafted, go_on, pulled, walk},
};

/// By the fast path if that is possible.
#[inline(always)]
pub fn run(ctx: &TcContext) -> i32 {
    let skb = Skb::new(ctx);
    if skb.is_for_another() {
        return TC_ACT_UNSPEC;
    }
    match skb.ether_type() {
        Some(V4::ETHER_TYPE) => walk::<V4>(ctx, Hook::FromNet, Tail::FromNet4),
        Some(V6::ETHER_TYPE) => walk::<V6>(ctx, Hook::FromNet, Tail::FromNet6),
        _ => TC_ACT_UNSPEC,
    }
}

/// What the fast path has left: what is known of the flow, and whether it is for a pod.
#[inline(always)]
pub fn decide<F: KernelFamily>(ctx: &TcContext) -> i32 {
    let skb = &Skb::new(ctx);
    let Some(packet) = &pulled::<F>(skb) else { return unreadable::<F>(skb) };
    if let Some(action) = fragments::before::<F>(ctx, packet, Hook::FromNet, F::LATER_FROM_NET) {
        return action;
    }
    if packet.kind.has_flow()
        && packet.ttl > 1
        && let Some(action) = table::follow::<F>(skb, packet, Hook::FromNet)
    {
        return if action == ANSWER { answered::<F>(ctx, Hook::FromNet) } else { action };
    }
    // It would end here, but whom it is for only we know.
    if packet.ttl <= 1 && table::known::<F>(&packet.key).is_some_and(|flow| flow.has(Flow::<F::Addr>::TRANSLATED)) {
        let _ = answer::with::<F>(Trouble::TimeExceeded, 0);
        return answered::<F>(ctx, Hook::FromNet);
    }
    let tail = match packet.kind {
        Kind::IcmpError => F::RELATED,
        kind => {
            if let Some(pod) = F::endpoint(&packet.key.dst) {
                return to_pod::<F>(skb, packet, &pod);
            }
            if !kind.has_ports() {
                return TC_ACT_UNSPEC;
            }
            F::SERVICE
        }
    };
    let Some(draft) = draft::<F>() else { return TC_ACT_UNSPEC };
    draft.hook = Hook::FromNet as u8;
    go_on(ctx, Hook::FromNet, tail)
}

/// The host's stack says what is wrong with it; but it would forward to a pod what is wrong above IP only, such as fragments
/// that are too small for anybody to see their ports.
#[inline(always)]
fn unreadable<F: KernelFamily>(skb: &Skb<'_>) -> i32 {
    let is_pods = HOST_NAT.load() == 0 && F::destination(skb, L3).is_some_and(|dst| F::endpoint(&dst).is_some());
    if is_pods { drop(skb, Hook::FromNet, Reason::Malformed) } else { TC_ACT_UNSPEC }
}

/// A fragment without ports of its own.
#[inline(always)]
pub fn later_fragment<F: KernelFamily>(ctx: &TcContext) -> i32 {
    let Some(draft) = draft::<F>() else { return TC_ACT_UNSPEC };
    fragments::later::<F>(&Skb::new(ctx), &drafted::<F>(draft), Hook::FromNet)
}

/// The first packet of a flow to a pod of this node.
#[inline(always)]
fn to_pod<F: KernelFamily>(skb: &Skb<'_>, packet: &Packet<F::Addr>, pod: &Endpoint) -> i32 {
    let key = &packet.key;
    // The host's netfilter may have translated what this answers.
    let is_hosts = HOST_NAT.load() != 0 || pod.flags & Endpoint::BY_HOST != 0;
    if is_hosts || packet.ttl <= 1 || packet.kind == Kind::Neighbour {
        return TC_ACT_UNSPEC;
    }
    // Pods of this node are not behind a NIC.
    if F::endpoint(&key.src).is_some() {
        return drop(skb, Hook::FromNet, Reason::SpoofedAddress);
    }
    if !route::leads_back::<F>(*skb, packet) {
        return drop(skb, Hook::FromNet, Reason::ReversePath);
    }
    let Some(draft) = draft::<F>() else { return TC_ACT_UNSPEC };
    begin(&mut draft.forth, skb.ifindex(), skb.len());
    towards(&mut draft.forth, pod);
    draft.forth.flags = Flow::<F::Addr>::FROM_NET;
    if !packet.kind.has_flow() {
        count(skb, Hook::FromNet, Reason::Stateless);
        return send::<F>(skb, packet, &draft.forth);
    }
    begin(&mut draft.back, pod.ifindex, 0);
    out_of(&mut draft.back, skb.ifindex());
    table::store::<F>(skb, packet, Hook::FromNet, draft);
    count(skb, Hook::FromNet, Reason::NewFlow);
    send::<F>(skb, packet, &draft.forth)
}
