//! The flow table: a hash from which nobody is thrown out, and a small LRU beside it for flows that one side alone wants.
//!
//! A flood of first packets makes room for itself in the LRU and nowhere else. A flow moves over when a packet shows that
//! both sides want it ([`tracking::confirms`]). Most packets are of flows that have: they look once, and never come here.

use aya_ebpf::bindings::{BPF_NOEXIST, TC_ACT_UNSPEC};
use caracal_abi::{Flow, FlowKey, Hook, Pair, Reason, Translation, Via};
use caracal_logic::{
    Packet,
    control::opens,
    tracking::{self, State},
};

use crate::{
    beside,
    count::count,
    draft::{draft, is_pod},
    family::KernelFamily,
    forward,
    maps::Draft,
    route,
    skb::Skb,
};

/// In which of the two a flow is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    New,
    Main,
}

/// A flow in either table.
///
/// The reference is into memory that stays valid; another CPU writing the same counters costs a count at worst.
#[inline(always)]
fn find<F: KernelFamily>(key: &FlowKey<F::Addr>) -> Option<(&'static mut Flow<F::Addr>, Place)> {
    if let Some(flow) = F::flows().get_ptr_mut(key) {
        // SAFETY: as above.
        return Some((unsafe { &mut *flow }, Place::Main));
    }
    new::<F>(key).map(|flow| (flow, Place::New))
}

/// A flow in the table of those that one side alone wants so far.
#[inline(always)]
pub fn new<F: KernelFamily>(key: &FlowKey<F::Addr>) -> Option<&'static mut Flow<F::Addr>> {
    let (key, side) = place::<F>(key)?;
    let pair = F::new_flows().get_ptr_mut(key)?;
    // SAFETY: as above.
    let flow = unsafe { &mut (*pair).flows[side] };
    (flow.in_ifindex != 0).then_some(flow)
}

/// Under which key of the table a tuple is, and which of the two it is there.
///
/// Both are written down and read again: the key outside the stack, and the number so that the verifier does not follow all that
/// comes after for each of the two.
#[inline(always)]
fn place<F: KernelFamily>(key: &FlowKey<F::Addr>) -> Option<(&'static FlowKey<F::Addr>, usize)> {
    let (pair, side) = key.pair();
    let draft = F::draft()?;
    // SAFETY: this CPU's own, and nobody refers to this part of it but here: what is returned is used up before the next call.
    let looked_up = unsafe { &mut (*draft).looked_up };
    looked_up.key = pair;
    // SAFETY: a reference is valid.
    unsafe { (&raw mut looked_up.side).write_volatile(side) };
    // SAFETY: the same.
    let side = unsafe { (&raw const looked_up.side).read_volatile() };
    Some((&looked_up.key, side & 1))
}

/// Takes the place of a tuple whose reverse is another flow's or nobody's. The kernel lets one of two CPUs have it.
#[inline(always)]
fn take_place<F: KernelFamily>(key: &FlowKey<F::Addr>, flow: &Flow<F::Addr>, pair: &mut Pair<F::Addr>) -> Option<()> {
    let (key, side) = place::<F>(key)?;
    pair.flows[side] = *flow;
    pair.flows[side ^ 1].in_ifindex = 0;
    F::new_flows().insert(key, pair, BPF_NOEXIST.into()).ok()
}

/// Both directions where they are in one entry.
#[inline(always)]
fn remove_new<F: KernelFamily>(key: &FlowKey<F::Addr>) {
    if let Some((key, _)) = place::<F>(key) {
        let _ = F::new_flows().remove(key);
    }
}

/// A flow in either table, for what is only related to it.
#[inline(always)]
pub fn known<F: KernelFamily>(key: &FlowKey<F::Addr>) -> Option<&'static mut Flow<F::Addr>> {
    find::<F>(key).map(|(flow, _)| flow)
}

/// Looks the packet's flow up in both tables, and sends the packet if the flow is decided and this packet does not begin
/// another one. Where it does, nothing of the old one is left.
#[inline(always)]
pub fn follow<F: KernelFamily>(skb: &Skb<'_>, packet: &Packet<F::Addr>, hook: Hook) -> Option<i32> {
    let (flow, place) = find::<F>(&packet.key)?;
    if flow.in_ifindex != skb.ifindex() && !comes_another_way::<F>(skb, packet, flow) {
        // A pod has proved that the address is its own: the flow was of one before it. A NIC proves nothing.
        if is_pod(hook) {
            forget::<F>(&packet.key, flow);
        }
        return None;
    }
    if beside::reopens(packet, flow) {
        if opens(packet.control) {
            forget::<F>(&packet.key, flow);
        }
        return None;
    }
    if flow.via == Via::Host as u8 && flow.flags & Flow::<F::Addr>::ROUTED == 0 {
        let _ = forward::account(skb, flow);
        return Some(TC_ACT_UNSPEC);
    }
    let answer = flow.answer(&packet.key);
    // Half of it was thrown out: the other half is decided again with it.
    let Some((other, _)) = find::<F>(&answer) else {
        forget::<F>(&packet.key, flow);
        return None;
    };
    if tracking::reuses(packet.control, State::of(flow, other)) {
        forget::<F>(&packet.key, flow);
        return None;
    }
    flow.seen = tracking::seen_after(flow.seen, packet.control);
    let mut flow = flow;
    if place == Place::New && tracking::confirms(packet.control, other) {
        match promote::<F>(&packet.key, flow, &answer, other) {
            Some(promoted) => flow = promoted,
            None => count(skb, hook, Reason::FlowTableFull),
        }
    }
    Some(forward::go::<F>(skb, packet, flow))
}

/// Moves both directions over; `None`, and nothing done, if there is no room.
#[inline(always)]
fn promote<F: KernelFamily>(
    key: &FlowKey<F::Addr>,
    flow: &mut Flow<F::Addr>,
    answer: &FlowKey<F::Addr>,
    other: &mut Flow<F::Addr>,
) -> Option<&'static mut Flow<F::Addr>> {
    flow.flags &= !Flow::<F::Addr>::AWAITS_REPLY;
    other.flags &= !Flow::<F::Addr>::AWAITS_REPLY;
    F::flows().insert(key, flow, 0).ok()?;
    if F::flows().insert(answer, other, 0).is_err() {
        let _ = F::flows().remove(key);
        return None;
    }
    let is_pair = !flow.has(Flow::<F::Addr>::TRANSLATED);
    // Not before: at no moment are they nowhere.
    remove_new::<F>(key);
    if !is_pair {
        remove_new::<F>(answer);
    }
    // SAFETY: as in `find`.
    F::flows().get_ptr_mut(key).map(|flow| unsafe { &mut *flow })
}

/// Stores both directions of a flow that is not translated. The last writer wins: two CPUs with two first packets write the
/// same.
#[inline(always)]
pub fn store<F: KernelFamily>(skb: &Skb<'_>, packet: &Packet<F::Addr>, hook: Hook, draft: &mut Draft<F::Addr>) {
    draft.forth.seen = packet.control;
    let Some((key, side)) = place::<F>(&packet.key) else { return };
    let Draft { forth, back, pair, .. } = draft;
    pair.flows[side] = *forth;
    pair.flows[side ^ 1] = *back;
    if F::new_flows().insert(key, pair, 0).is_err() {
        count(skb, hook, Reason::FlowTableFull);
    }
}

/// Stores the drafted direction alone: what there is of the other is none of its business. Where there is no room, the next packet
/// is judged like this one.
#[inline(always)]
pub fn store_one<F: KernelFamily>(key: &FlowKey<F::Addr>, draft: &mut Draft<F::Addr>) {
    let Draft { forth, pair, .. } = draft;
    if take_place::<F>(key, forth, pair).is_some() {
        return;
    }
    let Some((key, side)) = place::<F>(key) else { return };
    if let Some(pair) = F::new_flows().get_ptr_mut(key) {
        // SAFETY: as in `find`.
        let pair = unsafe { &mut *pair };
        pair.flows[side] = *forth;
    }
}

/// Forgets both directions, wherever they are.
#[inline(always)]
pub fn forget<F: KernelFamily>(key: &FlowKey<F::Addr>, flow: &Flow<F::Addr>) {
    let answer = flow.answer(key);
    for key in [key, &answer] {
        if F::flows().remove(key).is_err() {
            remove_new::<F>(key);
        }
    }
}

/// Whether a packet that came by another NIC than those before it is believed. The routes may have changed, or the way there
/// and the way back may differ.
#[inline(always)]
pub fn comes_another_way<F: KernelFamily>(skb: &Skb<'_>, packet: &Packet<F::Addr>, flow: &mut Flow<F::Addr>) -> bool {
    if flow.flags & Flow::<F::Addr>::FROM_NET == 0 || !route::leads_back::<F>(*skb, packet) {
        return false;
    }
    flow.in_ifindex = skb.ifindex();
    true
}

/// Takes the place of the answers to the flow of `draft.key`, once translated to `draft.question`, unless somebody else has
/// it: then nobody else gets it until it is forgotten. Everything else about the way back is drafted already.
///
/// For [`KernelFamily::claim`]: a global function to the verifier, which looks at it once, however often it is tried.
#[inline(always)]
pub fn claim<F: KernelFamily>() -> bool {
    let Some(draft) = draft::<F>() else { return false };
    let Draft { key, question, answer, back, pair, .. } = draft;
    *answer = question.reverse();
    back.translation = Translation::new(answer, &key.reverse());
    if let Some((flow, place)) = find::<F>(answer) {
        if leads_to(flow, key) {
            // The other half was thrown out, or another CPU is deciding the same.
            return true;
        }
        if place == Place::New || !is_over::<F>(answer, flow) {
            return false;
        }
        forget::<F>(answer, flow);
    }
    take_place::<F>(answer, back, pair).is_some()
}

/// Whether these answers are to this very flow.
#[inline(always)]
fn leads_to<A: PartialEq>(answers: &Flow<A>, key: &FlowKey<A>) -> bool {
    let Translation { src, dst, sport, dport, .. } = &answers.translation;
    answers.flags & Flow::<A>::TRANSLATED != 0
        && *src == key.dst
        && *dst == key.src
        && *sport == key.dport
        && *dport == key.sport
}

/// Only connections ever are.
#[inline(always)]
fn is_over<F: KernelFamily>(key: &FlowKey<F::Addr>, flow: &Flow<F::Addr>) -> bool {
    find::<F>(&flow.answer(key)).is_none_or(|(other, _)| State::of(flow, other).is_over())
}

/// Stores the flow whose answers were claimed. Where another CPU has decided the same flow meanwhile, its word counts: two
/// ports for one flow would be two flows to the receiver.
#[inline(always)]
pub fn store_claimed<F: KernelFamily>(
    skb: &Skb<'_>,
    packet: &Packet<F::Addr>,
    hook: Hook,
    draft: &mut Draft<F::Addr>,
) -> Option<&'static mut Flow<F::Addr>> {
    draft.forth.seen = packet.control;
    if take_place::<F>(&packet.key, &draft.forth, &mut draft.pair).is_some() {
        return None;
    }
    let Some((faster, _)) = find::<F>(&packet.key) else {
        count(skb, hook, Reason::FlowTableFull);
        return None;
    };
    if faster.answer(&packet.key) != draft.answer {
        remove_new::<F>(&draft.answer);
    }
    Some(faster)
}
