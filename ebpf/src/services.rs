//! Services: first packets to an address that is no pod's, and the pod that answers there.

use aya_ebpf::{
    bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC},
    programs::TcContext,
};
use caracal_abi::{Be16, Endpoint, Flow, FlowKey, Hook, Reason, Service, ServiceKey, Translation};
use caracal_logic::Packet;

use crate::{
    answer::{self, Trouble},
    count::{count, drop},
    draft::{begin, draft, is_pod, out_of, towards},
    family::KernelFamily,
    forward::send,
    maps::{Draft, HOST_NAT},
    skb::Skb,
    table,
    walk::{drafted, go_on},
};

/// How many source ports are tried until one is free.
const PORT_ATTEMPTS: u16 = 16;

/// Sends the first packet of a flow to the pod behind the service, and stores both directions.
#[inline(always)]
pub fn decide<F: KernelFamily>(ctx: &TcContext) -> i32 {
    let skb = &Skb::new(ctx);
    let Some(draft) = draft::<F>() else { return TC_ACT_SHOT };
    let packet = &drafted::<F>(draft);
    let key = &packet.key;
    let hook = draft.hook();
    let Some((service, backend)) = find::<F>(packet).and_then(|it| Some((it, F::endpoint(&it.backend)?))) else {
        return nobody::<F>(ctx, hook, &draft.sender);
    };
    if packet.ttl <= 1 {
        let _ = answer::with::<F>(Trouble::TimeExceeded, 0);
        return go_on(ctx, hook, F::ANSWER);
    }
    // A pod does not take what it seems to have sent itself.
    let is_itself = is_pod(hook) && backend.ifindex == skb.ifindex();
    let client = if is_itself { F::GATEWAY } else { key.src };
    draft.key = *key;
    draft.question = FlowKey::new(client, service.backend, key.sport, service.port, key.protocol);
    way_back::<F>(skb, key, &backend, hook, &mut draft.back);
    if !find_port::<F>(key, draft) {
        return drop(skb, hook, Reason::PortClash);
    }
    begin(&mut draft.forth, skb.ifindex(), skb.len());
    towards(&mut draft.forth, &backend);
    draft.forth.flags = Flow::<F::Addr>::TRANSLATED | if is_pod(hook) { 0 } else { Flow::<F::Addr>::FROM_NET };
    draft.forth.translation = Translation::new(key, &draft.question);
    count(skb, hook, Reason::Service);
    match table::store_claimed::<F>(skb, packet, hook, draft) {
        Some(faster) => send::<F>(skb, packet, faster),
        None => send::<F>(skb, packet, &draft.forth),
    }
}

/// No service is meant, or nobody is behind it.
#[inline(always)]
fn nobody<F: KernelFamily>(ctx: &TcContext, hook: Hook, sender: &Endpoint) -> i32 {
    if !is_pod(hook) {
        return TC_ACT_UNSPEC;
    }
    // The host's netfilter may have a service there that we do not know of.
    if HOST_NAT.load() != 0 || sender.flags & Endpoint::BY_HOST != 0 {
        count(&Skb::new(ctx), hook, Reason::ToHost);
        return TC_ACT_UNSPEC;
    }
    go_on(ctx, hook, F::OUTSIDE)
}

/// The service that a packet is sent to, if its destination is one.
#[inline(always)]
fn find<F: KernelFamily>(packet: &Packet<F::Addr>) -> Option<Service<F::Addr>> {
    let key = &packet.key;
    if let Some(service) = F::service(&ServiceKey::new(key.dst, key.dport, key.protocol)) {
        return Some(service);
    }
    if !F::is_node(&key.dst) {
        return None;
    }
    F::service(&ServiceKey::new(F::Addr::default(), key.dport, key.protocol))
}

/// Finds a source port whose answers nobody else awaits, the client's own if that is possible.
#[inline(always)]
fn find_port<F: KernelFamily>(key: &FlowKey<F::Addr>, draft: &mut Draft<F::Addr>) -> bool {
    const UNPRIVILEGED: u16 = 0x8000;

    let wanted = key.sport.get();
    for attempt in 0..PORT_ATTEMPTS {
        // Far apart, and never what a host gives to its own sockets first.
        draft.question.sport =
            if attempt == 0 { key.sport } else { Be16::new(wanted.wrapping_add(attempt * 4099) | UNPRIVILEGED) };
        if F::claim() {
            return true;
        }
    }
    false
}

/// The pod's answers: to another pod, or to where the NIC's neighbours are.
#[inline(always)]
fn way_back<F: KernelFamily>(
    skb: &Skb<'_>,
    key: &FlowKey<F::Addr>,
    backend: &Endpoint,
    hook: Hook,
    flow: &mut Flow<F::Addr>,
) {
    begin(flow, backend.ifindex, 0);
    flow.flags = Flow::<F::Addr>::TRANSLATED;
    match F::endpoint(&key.src) {
        // The sender was found to be this pod.
        Some(client) if is_pod(hook) => towards(flow, &client),
        _ => out_of(flow, skb.ifindex()),
    }
}
