//! What a NIC receives.
//!
//! Answers and further packets of flows that were decided here are sent on; first packets to a service of the node are
//! decided. Everything else is the host's, and not even counted.

use aya_ebpf::{bindings::TC_ACT_UNSPEC, programs::TcContext};
use caracal_abi::{Endpoint, Flow, Hook, Reason, Tail};
use caracal_logic::{Family, Kind, Packet, V4, V6};

use crate::{
    count::{count, drop},
    draft::{begin, draft, out_of, towards},
    family::KernelFamily,
    forward::send,
    maps::HOST_NAT,
    related::{self, Related},
    route,
    services::{self, NO_SERVICE},
    skb::Skb,
    table::{self, Found, Place},
    walk::{pulled, walk},
};

/// By the fast path if that is possible.
#[inline(always)]
pub fn run(ctx: &TcContext) -> i32 {
    match Skb::new(ctx).ether_type() {
        Some(V4::ETHER_TYPE) => walk::<V4>(ctx, Hook::FromNet, Tail::FromNet4),
        Some(V6::ETHER_TYPE) => walk::<V6>(ctx, Hook::FromNet, Tail::FromNet6),
        _ => TC_ACT_UNSPEC,
    }
}

/// What the fast path has left.
#[inline(always)]
pub fn decide<F: KernelFamily>(ctx: &TcContext) -> i32 {
    let skb = &Skb::new(ctx);
    // The host's stack says what is wrong with it.
    let Some(packet) = pulled::<F>(skb) else { return TC_ACT_UNSPEC };
    first::<F>(*skb, &packet)
}

/// What is known of the flow, and whether it is for a pod.
#[inline(always)]
fn first<F: KernelFamily>(skb: Skb<'_>, packet: &Packet<F::Addr>) -> i32 {
    let skb = &skb;
    let mut place = Place::New;
    if packet.kind.has_flow() && packet.ttl > 1 {
        match table::follow::<F>(skb, packet, Hook::FromNet) {
            Found::Sent(action) => return action,
            Found::Undecided(at) => place = at,
        }
    }
    if packet.kind == Kind::IcmpError
        && packet.ttl > 1
        && let Related::Sent(action) = related::follow::<F>(skb, packet, Hook::FromNet)
    {
        return action;
    }
    match F::endpoint(&packet.key.dst) {
        // The host's netfilter may have translated what this answers.
        Some(_) if HOST_NAT.load() != 0 => TC_ACT_UNSPEC,
        Some(pod) => to_pod::<F>(skb, packet, &pod, place),
        None => match services::first::<F>(*skb, packet, Hook::FromNet) {
            NO_SERVICE => TC_ACT_UNSPEC,
            action => action,
        },
    }
}

/// The first packet of a flow to a pod of this node.
#[inline(always)]
fn to_pod<F: KernelFamily>(skb: &Skb<'_>, packet: &Packet<F::Addr>, pod: &Endpoint, place: Place) -> i32 {
    let key = &packet.key;
    if packet.ttl <= 1 || pod.flags & Endpoint::BY_HOST != 0 || packet.kind == Kind::Neighbour {
        return TC_ACT_UNSPEC;
    }
    // Pods of this node are not behind a NIC.
    if F::endpoint(&key.src).is_some() {
        return drop(skb, Hook::FromNet, Reason::SpoofedAddress);
    }
    if !route::leads_back::<F>(*skb, packet) {
        return drop(skb, Hook::FromNet, Reason::ReversePath);
    }
    if packet.kind == Kind::IcmpError {
        return drop(skb, Hook::FromNet, Reason::Unrelated);
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
    draft.answer = key.reverse();
    table::store::<F>(skb, packet, Hook::FromNet, draft, place);
    count(skb, Hook::FromNet, Reason::NewFlow);
    send::<F>(skb, packet, &draft.forth)
}
