//! Everything a pod sends.
//!
//! Established flows are one look-up and one rewrite. The first packet of a flow is judged: does the sender own its
//! addresses, is the destination a pod of this node; the answer is stored for both directions. What is not for a pod
//! of this node goes to the host's stack. Nothing leaves here unjudged: what is not understood is dropped and counted.

use aya_ebpf::{
    bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC},
    programs::TcContext,
};
use caracal_abi::{Address, Disposition, Endpoint, Flow, Hook, Reason, Via};
use caracal_logic::{Family, Kind, Malformed, Packet, V4, V6, arp, link, parse};

use crate::{
    beside,
    count::count,
    family::KernelFamily,
    forward::{account, now_ns, send, via},
    maps::HOST_NAT,
    skb::Skb,
};

/// EtherType of ARP.
const ARP: u16 = 0x0806;

/// Not an action of the kernel's: the headers are not all in the linear part of the packet.
const PULL: i32 = i32::MIN;

pub fn run(ctx: &TcContext) -> i32 {
    let skb = Skb::new(ctx);
    let action = judge(skb);
    if action != PULL {
        return action;
    }
    // Rare: headers split over fragments. Pulled together they are judged again; still too short means cut short.
    let action = if skb.pull_headers() { judge(skb) } else { PULL };
    if action == PULL { finish(&skb, Reason::Malformed) } else { action }
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
    match parse::<F, _>(skb, l3) {
        Ok(packet) => established::<F>(skb, &packet).unwrap_or_else(|| first::<F>(*skb, &packet)),
        Err(malformed) => refuse(skb, malformed),
    }
}

/// The fast path: what was decided for this flow is done again.
#[inline(always)]
fn established<F: KernelFamily>(skb: &Skb<'_>, packet: &Packet<F::Addr>) -> Option<i32> {
    if !has_flow(packet.kind) || packet.ttl <= 1 {
        return None;
    }
    let flow = F::flows().get_ptr_mut(&packet.key)?;
    // SAFETY: preallocated memory that stays valid; another CPU writing the same counters costs a count at worst.
    let flow = unsafe { &mut *flow };
    // Same tuple from elsewhere: a forger, or the address has a new owner. The slow path tells them apart.
    if flow.in_ifindex != skb.ifindex() {
        return None;
    }
    if flow.via == Via::Host as u8 {
        return beside::established(skb, packet, flow);
    }
    account(skb, flow);
    Some(send::<F>(skb, packet.l3, flow))
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
        return finish(skb, Reason::ToHost);
    };
    if packet.ttl <= 1 {
        return finish(skb, Reason::TtlExpired);
    }
    let flow = instruction(&source, &destination, skb.len());
    if HOST_NAT.load() != 0 && !beside::is_reply::<F>(packet, &destination) {
        beside::remember::<F>(packet, flow);
        return finish(skb, Reason::ViaHost);
    }
    if has_flow(packet.kind) {
        remember::<F>(skb, packet, &flow, &instruction(&destination, &source, 0));
    }
    if flow.via == Via::Host as u8 {
        return finish(skb, Reason::ViaHost);
    }
    count(skb, Hook::FromPod, if has_flow(packet.kind) { Reason::NewFlow } else { Reason::Stateless });
    send::<F>(skb, packet.l3, &flow)
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
fn instruction(from: &Endpoint, to: &Endpoint, bytes: u32) -> Flow {
    Flow {
        in_ifindex: from.ifindex,
        out_ifindex: to.ifindex,
        dst_mac: to.pod_mac,
        src_mac: to.host_mac,
        via: via(from, to) as u8,
        state: 0,
        _pad16: 0,
        last_seen_ns: now_ns(),
        packets: u64::from(bytes != 0),
        bytes: u64::from(bytes),
    }
}

/// Stores both directions. The last writer wins: two CPUs with two first packets write the same.
#[inline(always)]
fn remember<F: KernelFamily>(skb: &Skb<'_>, packet: &Packet<F::Addr>, forth: &Flow, back: &Flow) {
    let stored = F::flows().insert(&packet.key, forth, 0).and(F::flows().insert(&packet.key.reverse(), back, 0));
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

/// Whether packets of this kind belong to a flow that their 5-tuple names.
#[inline(always)]
pub fn has_flow(kind: Kind) -> bool {
    matches!(kind, Kind::Tcp | Kind::Udp | Kind::Sctp | Kind::Echo | Kind::Other)
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
