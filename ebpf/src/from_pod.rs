//! Everything a pod sends.
//!
//! Established flows are one look-up and one rewrite. The first packet of a flow is judged: does the sender own its
//! addresses, is the destination a pod of this node; the answer is stored for both directions. What is not for a pod
//! of this node goes to the host's stack. Nothing leaves here unjudged: what is not understood is dropped and counted.

use aya_ebpf::{
    bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC},
    programs::TcContext,
};
use caracal_abi::{Address as _, Disposition, Endpoint, Flow, Hook, Reason, Via};
use caracal_logic::{Family, Kind, Malformed, Packet, V4, V6, arp, link, parse};

use crate::{
    beside,
    count::count,
    draft::{begin, draft, towards},
    family::KernelFamily,
    forward::send,
    maps::{Draft, HOST_NAT},
    services::{self, NO_SERVICE},
    skb::Skb,
    walk::{PULL, established, judge_linear},
};

/// EtherType of ARP.
const ARP: u16 = 0x0806;

/// Not an action of the kernel's: the destination is no pod, perhaps a service.
const NOT_A_POD: i32 = i32::MIN + 2;

pub fn run(ctx: &TcContext) -> i32 {
    let action = judge_linear(ctx, judge);
    if action == PULL { finish(&Skb::new(ctx), Reason::Malformed) } else { action }
}

/// A function of its own in the kernel too: written out twice, or as a loop, it would not fit the stack or not pass
/// the verifier.
#[inline(never)]
fn judge(skb: Skb<'_>) -> i32 {
    let skb = &skb;
    let link = match link(skb) {
        Ok(link) => link,
        Err(malformed) => return refuse(skb, malformed),
    };
    if link.vlan.is_some() || skb.has_vlan_tag() {
        return finish(skb, Reason::UnknownEtherType);
    }
    match link.ether_type.get() {
        V4::ETHER_TYPE => judge_ip::<V4>(skb, link.l3),
        V6::ETHER_TYPE => judge_ip::<V6>(skb, link.l3),
        ARP => judge_arp(skb, link.l3),
        _ => finish(skb, Reason::UnknownEtherType),
    }
}

#[inline(always)]
fn judge_ip<F: KernelFamily>(skb: &Skb<'_>, l3: usize) -> i32 {
    let packet = match parse::<F, _>(skb, l3) {
        Ok(packet) => packet,
        Err(malformed) => return refuse(skb, malformed),
    };
    if let Some(action) = established::<F>(skb, &packet) {
        return action;
    }
    let action = first::<F>(*skb, &packet);
    if action != NOT_A_POD {
        return action;
    }
    match services::first::<F>(*skb, &packet, Hook::FromPod) {
        NO_SERVICE => finish(skb, Reason::ToHost),
        action => action,
    }
}

/// The slow path: who sends, who receives. A function of its own in the kernel too, with a stack frame that the fast
/// path does not carry.
#[inline(never)]
fn first<F: KernelFamily>(skb: Skb<'_>, packet: &Packet<F::Addr>) -> i32 {
    let skb = &skb;
    let source = match source::<F>(skb, packet) {
        Ok(endpoint) => endpoint,
        Err(reason) => return finish(skb, reason),
    };
    // Forwarded it would be a hop older, and neighbours believe only what has not been forwarded.
    if packet.kind == Kind::Neighbour {
        return finish(skb, Reason::Neighbour);
    }
    let Some(destination) = F::endpoint(&packet.key.dst) else {
        return NOT_A_POD;
    };
    if packet.ttl <= 1 {
        return finish(skb, Reason::TtlExpired);
    }
    let Some(draft) = draft::<F>() else { return finish(skb, Reason::ToHost) };
    from_one_to_another(&source, &destination, skb.len(), &mut draft.forth);
    if HOST_NAT.load() != 0 && !beside::is_reply::<F>(packet, &destination) {
        beside::remember::<F>(packet, &mut draft.forth);
        return finish(skb, Reason::ViaHost);
    }
    if packet.kind.has_flow() {
        from_one_to_another(&destination, &source, 0, &mut draft.back);
        if HOST_NAT.load() != 0 {
            beside::is_opening(packet, &mut draft.back);
        }
        remember::<F>(skb, packet, draft);
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

/// Stores both directions. The last writer wins: two CPUs with two first packets write the same.
#[inline(always)]
fn remember<F: KernelFamily>(skb: &Skb<'_>, packet: &Packet<F::Addr>, draft: &mut Draft<F::Addr>) {
    draft.answer = packet.key.reverse();
    let Draft { answer, forth, back, .. } = draft;
    let stored = F::flows().insert(&packet.key, forth, 0).and(F::flows().insert(answer, back, 0));
    if stored.is_err() {
        count(skb, Hook::FromPod, Reason::FlowTableFull);
    }
}

/// ARP reaches the host only if its sender is who it says.
#[inline(always)]
fn judge_arp(skb: &Skb<'_>, l3: usize) -> i32 {
    let sender = match arp(skb, l3) {
        Ok(arp) => arp.sender_ip(),
        Err(malformed) => return refuse(skb, malformed),
    };
    // A probe for a duplicate has no sender yet.
    let own = sender.is_unspecified() || V4::endpoint(&sender).is_some_and(|e| e.ifindex == skb.ifindex());
    finish(skb, if own { Reason::Neighbour } else { Reason::SpoofedAddress })
}

#[inline(always)]
fn refuse(skb: &Skb<'_>, malformed: Malformed) -> i32 {
    if malformed == Malformed::TooShort { PULL } else { finish(skb, Reason::Malformed) }
}

/// Counts the packet and returns what its reason stands for. Not for reasons that forward: [`send`] does that.
#[inline(always)]
fn finish(skb: &Skb<'_>, reason: Reason) -> i32 {
    count(skb, Hook::FromPod, reason);
    match reason.disposition() {
        Disposition::Host => TC_ACT_UNSPEC,
        Disposition::Forwarded | Disposition::Dropped | Disposition::Noted => TC_ACT_SHOT,
    }
}
