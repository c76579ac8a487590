//! Everything a pod sends.
//!
//! Established flows are one look-up and one rewrite. The first packet of a flow is judged: does the sender own its
//! addresses, is the destination a pod of this node; the answer is stored for both directions. What is not for a pod
//! of this node goes to the host's stack. Nothing leaves here unjudged: what is not understood is dropped and counted.

use aya_ebpf::{
    bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC},
    programs::TcContext,
};
use caracal_abi::{Address as _, Disposition, Endpoint, Flow, Hook, Reason, Tail, Via};
use caracal_logic::{Family, Kind, Packet, V4, V6, arp, link};

use crate::{
    answer::ANSWER,
    beside,
    count::count,
    draft::{begin, draft, towards},
    family::KernelFamily,
    forward::send,
    fragments,
    maps::HOST_NAT,
    skb::Skb,
    table,
    walk::{L3, answered, drafted, go_on, pulled, walk},
};

/// EtherType of ARP.
const ARP: u16 = 0x0806;

/// By the fast path if that is possible.
#[inline(always)]
pub fn run(ctx: &TcContext) -> i32 {
    let skb = &Skb::new(ctx);
    match skb.ether_type() {
        Some(V4::ETHER_TYPE) => walk::<V4>(ctx, Hook::FromPod, Tail::FromPod4),
        Some(V6::ETHER_TYPE) => walk::<V6>(ctx, Hook::FromPod, Tail::FromPod6),
        Some(ARP) => judge_arp(skb),
        Some(_) => finish(skb, Reason::UnknownEtherType),
        None => finish(skb, Reason::Malformed),
    }
}

/// What the fast path has left: who sends, what is known of the flow, who receives.
#[inline(always)]
pub fn decide<F: KernelFamily>(ctx: &TcContext) -> i32 {
    let skb = &Skb::new(ctx);
    let Some(packet) = &pulled::<F>(skb) else { return finish(skb, Reason::Malformed) };
    if let Some(action) = fragments::before::<F>(ctx, packet, Hook::FromPod, F::LATER_FROM_POD) {
        return action;
    }
    let source = match source::<F>(skb, packet) {
        Ok(endpoint) => endpoint,
        Err(reason) => return finish(skb, reason),
    };
    // Forwarded it would be a hop older, and neighbours believe only what has not been forwarded.
    if packet.kind == Kind::Neighbour {
        return finish(skb, Reason::Neighbour);
    }
    if packet.kind.has_flow()
        && packet.ttl > 1
        && let Some(action) = table::follow::<F>(skb, packet, Hook::FromPod)
    {
        return if action == ANSWER { answered::<F>(ctx, Hook::FromPod) } else { action };
    }
    if let Some(destination) = F::endpoint(&packet.key.dst)
        && packet.kind != Kind::IcmpError
    {
        return to_pod::<F>(skb, packet, &source, &destination);
    }
    let Some(draft) = draft::<F>() else { return finish(skb, Reason::ToHost) };
    draft.sender = source;
    draft.hook = Hook::FromPod as u8;
    let tail = match packet.kind {
        Kind::IcmpError => F::RELATED,
        kind if kind.has_ports() => F::SERVICE,
        _ => F::OUTSIDE,
    };
    go_on(ctx, Hook::FromPod, tail)
}

/// A fragment without ports of its own.
#[inline(always)]
pub fn later_fragment<F: KernelFamily>(ctx: &TcContext) -> i32 {
    let skb = &Skb::new(ctx);
    let Some(draft) = draft::<F>() else { return finish(skb, Reason::Malformed) };
    let packet = &drafted::<F>(draft);
    match source::<F>(skb, packet) {
        Ok(_) => fragments::later::<F>(skb, packet, Hook::FromPod),
        Err(reason) => finish(skb, reason),
    }
}

/// To a pod of this node.
#[inline(always)]
fn to_pod<F: KernelFamily>(skb: &Skb<'_>, packet: &Packet<F::Addr>, source: &Endpoint, destination: &Endpoint) -> i32 {
    if packet.ttl <= 1 {
        return finish(skb, Reason::TtlExpired);
    }
    let Some(draft) = draft::<F>() else { return finish(skb, Reason::ToHost) };
    from_one_to_another(source, destination, skb.len(), &mut draft.forth);
    if HOST_NAT.load() != 0 && !beside::is_reply::<F>(packet, destination) {
        beside::remember::<F>(packet, draft);
        return finish(skb, Reason::ViaHost);
    }
    if packet.kind.has_flow() {
        from_one_to_another(destination, source, 0, &mut draft.back);
        if HOST_NAT.load() != 0 && packet.kind == Kind::Tcp {
            draft.back.flags = Flow::<F::Addr>::AWAITS_REPLY;
        }
        table::store::<F>(skb, packet, Hook::FromPod, draft);
    }
    if draft.forth.via == Via::Host as u8 {
        return finish(skb, Reason::ViaHost);
    }
    count(skb, Hook::FromPod, if packet.kind.has_flow() { Reason::NewFlow } else { Reason::Stateless });
    send::<F>(skb, packet, &draft.forth)
}

/// The sending pod, if the packet may come from it.
#[inline(always)]
fn source<F: KernelFamily>(skb: &Skb<'_>, packet: &Packet<F::Addr>) -> Result<Endpoint, Reason> {
    let key = &packet.key;
    let Some(endpoint) = F::endpoint(&key.src) else {
        if F::may_send(skb.ifindex(), &key.src) {
            return Ok(somebody_behind(skb));
        }
        let local_only = F::HAS_LINK_LOCAL_LIFE
            && (key.src.is_link_local() || key.src.is_unspecified())
            && (key.dst.is_link_local() || key.dst.is_multicast() || packet.kind == Kind::Neighbour);
        // Never routed, so it can reach this node and nobody else.
        return Err(if local_only { Reason::Neighbour } else { Reason::SpoofedAddress });
    };
    if endpoint.ifindex != skb.ifindex() {
        return Err(Reason::SpoofedAddress);
    }
    match link(skb) {
        Ok(link) if link.src == endpoint.pod_mac => Ok(endpoint),
        _ => Err(Reason::SpoofedMac),
    }
}

/// A pod that sends from an address which is not its own, but which it may send from: only the way there is known.
#[inline(always)]
fn somebody_behind(skb: &Skb<'_>) -> Endpoint {
    let (pod_mac, host_mac) = match link(skb) {
        Ok(link) => (link.src, link.dst),
        Err(_) => Default::default(),
    };
    Endpoint { ifindex: skb.ifindex(), pod_mac, host_mac, ..Endpoint::default() }
}

/// What to do with packets from one pod to another.
#[inline(always)]
fn from_one_to_another<A>(from: &Endpoint, to: &Endpoint, bytes: u32, flow: &mut Flow<A>) {
    begin(flow, from.ifindex, bytes);
    towards(flow, to);
    // The host follows a connection by what both sides send: of one side alone it finds packets invalid.
    if (from.flags | to.flags) & Endpoint::BY_HOST != 0 {
        flow.via = Via::Host as u8;
    }
}

/// ARP reaches the host only if its sender is who it says.
#[inline(always)]
fn judge_arp(skb: &Skb<'_>) -> i32 {
    let Ok(arp) = arp(skb, L3) else { return finish(skb, Reason::Malformed) };
    let sender = arp.sender_ip();
    // A probe for a duplicate has no sender yet.
    let own = sender.is_unspecified() || V4::endpoint(&sender).is_some_and(|e| e.ifindex == skb.ifindex());
    finish(skb, if own { Reason::Neighbour } else { Reason::SpoofedAddress })
}

/// Counts the packet and returns what its reason stands for. Not for reasons that forward: [`send`] does that.
#[inline(always)]
fn finish(skb: &Skb<'_>, reason: Reason) -> i32 {
    count(skb, Hook::FromPod, reason);
    match reason.disposition() {
        Disposition::Host => TC_ACT_UNSPEC,
        Disposition::Answered | Disposition::Forwarded | Disposition::Dropped | Disposition::Noted => TC_ACT_SHOT,
    }
}
