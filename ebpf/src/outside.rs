//! From a pod to somebody who is no pod of this node: by the host's routes, under the pod's own address or the node's.
//!
//! Masquerading lends a port of the node's to the pod for one remote address and port. The lease is the entry that awaits the
//! answers: as long as it is there, nobody else gets that port.

use aya_ebpf::{bindings::TC_ACT_UNSPEC, helpers::bpf_get_prandom_u32, programs::TcContext};
use caracal_abi::{Address as _, Be16, Endpoint, Flow, FlowKey, Hook, Peer, Reason, Translation, Via};
use caracal_logic::{Kind, Packet};

use crate::{
    answer::ANSWER,
    count::{count, drop},
    draft::{begin, draft, towards},
    family::KernelFamily,
    forward,
    maps::{self, Draft, HOST_NAT, MASQUERADE, MASQUERADE_PORTS},
    route,
    skb::Skb,
    table,
    walk::{answered, drafted},
};

/// How many ports are tried until one is free.
const ATTEMPTS: u32 = 32;

/// Sends the first packet of a flow, and stores both directions.
#[inline(always)]
pub fn decide<F: KernelFamily>(ctx: &TcContext) -> i32 {
    let skb = &Skb::new(ctx);
    let Some(draft) = draft::<F>() else { return to_host(skb, Reason::ToHost) };
    let packet = &drafted::<F>(draft);
    let key = &packet.key;
    if packet.ttl <= 1 {
        return to_host(skb, Reason::TtlExpired);
    }
    let is_hosts = HOST_NAT.load() != 0 || draft.sender.flags & Endpoint::BY_HOST != 0;
    let is_nobodys = key.dst.is_multicast() || key.dst.is_link_local() || key.dst.is_loopback();
    if is_hosts || is_nobodys || !packet.kind.has_flow() || F::is_node(&key.dst) {
        return to_host(skb, Reason::ToHost);
    }
    begin(&mut draft.forth, skb.ifindex(), skb.len());
    draft.forth.flags = Flow::<F::Addr>::ROUTED;
    route::find::<F>(*skb, key, &mut draft.forth);
    match draft.forth.via() {
        Some(Via::Egress | Via::Neighbour) => {}
        Some(Via::Discard) => return drop(skb, Hook::FromPod, Reason::NoRoute),
        _ => return to_host(skb, Reason::ToHost),
    }
    begin(&mut draft.back, draft.forth.out_ifindex, 0);
    towards(&mut draft.back, &draft.sender);
    draft.back.flags = Flow::<F::Addr>::FROM_NET;
    if MASQUERADE.load() != 0 && F::peer(&key.dst).is_none_or(|peer| peer.flags & Peer::INSIDE == 0) {
        if let Err(reason) = masquerade::<F>(packet, draft) {
            return drop(skb, Hook::FromPod, reason);
        }
        count(skb, Hook::FromPod, Reason::NewFlow);
        if let Some(faster) = table::store_claimed::<F>(skb, packet, Hook::FromPod, draft) {
            return forward::send::<F>(skb, packet, faster);
        }
    } else {
        table::store::<F>(skb, packet, Hook::FromPod, draft);
        count(skb, Hook::FromPod, Reason::NewFlow);
    }
    match forward::too_long::<F>(skb, packet, &draft.forth) {
        Some(ANSWER) => answered::<F>(ctx, Hook::FromPod),
        Some(action) => action,
        None => forward::send::<F>(skb, packet, &draft.forth),
    }
}

#[inline(always)]
fn to_host(skb: &Skb<'_>, reason: Reason) -> i32 {
    count(skb, Hook::FromPod, reason);
    TC_ACT_UNSPEC
}

/// Finds the node's address and port that the flow gets, and writes both keys' translation.
#[inline(always)]
fn masquerade<F: KernelFamily>(packet: &Packet<F::Addr>, draft: &mut Draft<F::Addr>) -> Result<(), Reason> {
    let key = &packet.key;
    // SAFETY: copied out at once; a torn read needs the entry to be rewritten at that very moment.
    let nic = unsafe { maps::NICS.get(&draft.forth.out_ifindex) }.ok_or(Reason::NoSource)?;
    let source = F::source(nic);
    if source.is_unspecified() {
        return Err(Reason::NoSource);
    }
    draft.key = *key;
    draft.question = FlowKey::new(source, key.dst, key.sport, key.dport, key.protocol);
    draft.back.flags |= Flow::<F::Addr>::TRANSLATED;
    lease::<F>(packet, draft)?;
    draft.forth.flags |= Flow::<F::Addr>::TRANSLATED | Flow::<F::Addr>::MASQUERADED;
    draft.forth.translation = Translation::new(key, &draft.question);
    Ok(())
}

/// Finds a port that nobody else has towards this remote address and port: the sender's own, if it is one of those to be
/// lent.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the range is of ports")]
fn lease<F: KernelFamily>(packet: &Packet<F::Addr>, draft: &mut Draft<F::Addr>) -> Result<(), Reason> {
    let key = &packet.key;
    let asks = packet.kind == Kind::Echo && key.dport == Be16::new(0);
    let [first, count] = MASQUERADE_PORTS.load();
    let (first, count) = (u32::from(first), u32::from(count).max(1));
    let own = u32::from(key.sport.get()).wrapping_sub(first);
    // SAFETY: takes nothing, returns a number.
    let random = || unsafe { bpf_get_prandom_u32() };
    let start = if own < count { own } else { random() };
    // All of a small range, and a large one evenly.
    let stride = (count / ATTEMPTS).max(1);
    for attempt in 0..ATTEMPTS {
        if packet.kind.has_ports() || asks {
            let port = first + start.wrapping_add(attempt * stride) % count;
            draft.question.sport = Be16::new(port as u16);
        } else if attempt > 0 {
            break;
        }
        if F::claim() {
            return Ok(());
        }
    }
    Err(Reason::NoPort)
}
