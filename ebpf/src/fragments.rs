//! Fragments: the first of a datagram has its ports and is judged like a whole packet, the others go where it went.
//!
//! The first is remembered before it is decided, and so is what became of it. A later one finds there which flow it is of,
//! and follows that flow; it never begins one, and nothing is known of it but what the first has said. One that comes before
//! the first is held. As soon as the first is remembered, it and all that were held come in once more by the interface they
//! came from, the first before the others: there is no second way through the programs for what was held.

use aya_ebpf::{
    EbpfContext as _,
    bindings::{BPF_F_INGRESS, BPF_NOEXIST, TC_ACT_REDIRECT, TC_ACT_SHOT, TC_ACT_UNSPEC},
    helpers::{bpf_clone_redirect, bpf_skb_change_tail, bpf_skb_load_bytes, bpf_skb_store_bytes},
    programs::TcContext,
};
use caracal_abi::{FirstFragment, Flow, FragmentKey, Held, HeldKey, Hook, Reason, Tail, Translation, Via};
use caracal_logic::{Packet, V4, V6};

use crate::{
    count::{count, drop},
    draft::{draft, is_pod},
    family::KernelFamily,
    forward::{account, leave, notice, now},
    maps::{HELD, HOST_NAT, PART, Part},
    skb::Skb,
    table,
    walk::{L3, go_on},
};

/// Before a packet is decided: a later fragment is dealt with here, and so is a first one that others have come before.
#[inline(always)]
pub fn before<F: KernelFamily>(ctx: &TcContext, packet: &Packet<F::Addr>, hook: Hook, later: Tail) -> Option<i32> {
    if packet.fragment.offset != 0 {
        return Some(go_on(ctx, hook, later));
    }
    if packet.fragment.more && F::remember(Skb::new(ctx).ifindex()) {
        return Some(go_on(ctx, hook, Tail::Release));
    }
    None
}

/// After a packet was decided: the others of its datagram are told.
///
/// Whether there are others is read once more: the verifier, which does not know the answer then, need not follow everything
/// in between for each.
#[inline(always)]
pub fn after<F: KernelFamily>(ctx: &TcContext, action: i32) -> i32 {
    tell::<F>(ctx, action);
    action
}

/// After an answer was made of a packet: for the others of its datagram it was dropped.
#[inline(always)]
pub fn instead<F: KernelFamily>(ctx: &TcContext, action: i32) -> i32 {
    tell::<F>(ctx, TC_ACT_SHOT);
    action
}

#[inline(always)]
fn tell<F: KernelFamily>(ctx: &TcContext, action: i32) {
    if let Some(draft) = draft::<F>()
        && draft.packet.fragment.more
    {
        F::settle(Skb::new(ctx).ifindex(), action);
    }
}

/// Remembers the first fragment in the draft; says whether others wait for it.
///
/// For [`KernelFamily::remember`]: a global function to the verifier, like [`settle`].
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "headers are short")]
pub fn remember<F: KernelFamily>(ifindex: u32) -> bool {
    let (Some(draft), Some(part)) = (draft::<F>(), part()) else { return false };
    let packet = &draft.packet;
    let id = datagram::<F>(packet, ifindex);
    let first = FirstFragment {
        sport: packet.key.sport,
        dport: packet.key.dport,
        protocol: packet.key.protocol,
        action: TC_ACT_REDIRECT,
        since: now(),
        ..FirstFragment::default()
    };
    // Where there is no room the others wait in vain, and are forgotten.
    let _ = F::fragments().insert(&id, &first, 0);
    note::<F>(part, &id);
    part.l4 = packet.l4 as u32;
    // After it was remembered: who is not held by now will find it.
    HELD.get_ptr(&part.key).is_some()
}

/// Writes down what became of the first fragment in the draft.
#[inline(always)]
pub fn settle<F: KernelFamily>(ifindex: u32, action: i32) {
    let Some(draft) = draft::<F>() else { return };
    let Some(first) = F::fragments().get_ptr_mut(&datagram::<F>(&draft.packet, ifindex)) else { return };
    // SAFETY: preallocated memory that stays valid; the entry may be another datagram's by now, which its own first
    // fragment then is still to settle.
    unsafe { (*first).action = action };
}

/// A later fragment, from somebody who may send it.
#[inline(always)]
pub fn later<F: KernelFamily>(skb: &Skb<'_>, packet: &Packet<F::Addr>, hook: Hook) -> i32 {
    let id = datagram::<F>(packet, skb.ifindex());
    let first = match known::<F>(&id) {
        Some(first) => first,
        None => match hold::<F>(skb, &id, hook) {
            Ok(first) => first,
            Err(action) => return action,
        },
    };
    match first.action {
        TC_ACT_REDIRECT => follow::<F>(skb, &Packet { key: first.flow(&id), ..*packet }, hook),
        TC_ACT_UNSPEC => TC_ACT_UNSPEC,
        _ => drop(skb, hook, Reason::FragmentRefused),
    }
}

/// Sends a later fragment, which has the key of its flow by now.
#[inline(always)]
fn follow<F: KernelFamily>(skb: &Skb<'_>, packet: &Packet<F::Addr>, hook: Hook) -> i32 {
    let Some(flow) = table::known::<F>(&packet.key) else { return drop(skb, hook, Reason::FragmentRefused) };
    if flow.in_ifindex != skb.ifindex() && !table::comes_another_way::<F>(skb, packet, flow) {
        return drop(skb, hook, Reason::FragmentRefused);
    }
    // The host's stack knows what there is to say about it.
    if packet.ttl <= 1 {
        return TC_ACT_UNSPEC;
    }
    if flow.via == Via::Host as u8 && flow.flags & Flow::<F::Addr>::ROUTED == 0 {
        let _ = account(skb, flow);
        return TC_ACT_UNSPEC;
    }
    let is_first_of_tick = notice::<F>(skb, &packet.key, flow);
    let is_translated = flow.flags & Flow::<F::Addr>::TRANSLATED != 0;
    if skb.len() > flow.max_len {
        // What is translated the host does not know.
        return if is_translated { drop(skb, hook, Reason::FragmentRefused) } else { TC_ACT_UNSPEC };
    }
    if is_translated && readdress::<F>(skb, &flow.translation).is_none() {
        return TC_ACT_SHOT;
    }
    leave::<F>(skb, L3, flow, is_first_of_tick)
}

/// Gives a later fragment its addresses. There are no ports in it, and no checksum that changes along.
#[inline(always)]
fn readdress<F: KernelFamily>(skb: &Skb<'_>, translation: &Translation<F::Addr>) -> Option<()> {
    if !F::HEADER_HAS_CHECKSUM {
        skb.change_whole_sum(translation.address_change);
    }
    F::readdress(skb, L3, translation)
}

/// Holds a fragment whose first has not come; the first, if it has come meanwhile.
#[inline(always)]
fn hold<F: KernelFamily>(skb: &Skb<'_>, id: &FragmentKey<F::Addr>, hook: Hook) -> Result<FirstFragment, i32> {
    // Of what NICs receive nothing else can be for a pod, or not before the host has translated it.
    let is_pods = is_pod(hook) || HOST_NAT.load() == 0 && F::endpoint(&id.dst).is_some();
    if !is_pods && !F::is_node(&id.dst) {
        return Err(TC_ACT_UNSPEC);
    }
    // Most of what is for the node is for nobody else.
    let too_much = |reason| Err(if is_pods { drop(skb, hook, reason) } else { TC_ACT_UNSPEC });
    let Some(part) = part() else { return Err(TC_ACT_SHOT) };
    let len = skb.len();
    if len == 0 || len > Held::MAX_LEN {
        return too_much(Reason::FragmentTooLong);
    }
    note::<F>(part, id);
    part.held.since = now();
    part.held.len = len;
    // SAFETY: the context of this run, and room for `len` bytes.
    if unsafe { bpf_skb_load_bytes(skb.raw().cast(), 0, part.held.frame.as_mut_ptr().cast(), len) } != 0 {
        return Err(drop(skb, hook, Reason::Malformed));
    }
    if !store(part) {
        return too_much(Reason::FragmentTooMany);
    }
    // If it has come by now, it may have looked for others before this one was there.
    let Some(first) = known::<F>(id) else {
        count(skb, hook, Reason::FragmentHeld);
        return Err(TC_ACT_SHOT);
    };
    if HELD.remove(&part.key).is_ok() { Ok(first) } else { Err(TC_ACT_SHOT) }
}

/// Puts the fragment into the first slot that is free.
#[inline(always)]
fn store(part: &mut Part) -> bool {
    for slot in 0..Held::SLOTS {
        part.key.slot = slot;
        // SAFETY: read at once; a torn read needs the entry to be reused at that very moment.
        match unsafe { HELD.get(&part.key) } {
            Some(held) if !is_over(held.since) => continue,
            Some(_) => {
                let _ = HELD.remove(&part.key);
            }
            None => {}
        }
        if HELD.insert(&part.key, &part.held, BPF_NOEXIST.into()).is_ok() {
            return true;
        }
    }
    false
}

/// Lets the first fragment, which is the packet, come in once more, and behind it those that were held. The packet itself
/// becomes one after the other of them, and is lost.
#[inline(always)]
pub fn release(ctx: &TcContext) -> i32 {
    let skb = &Skb::new(ctx);
    let Some(part) = part() else { return TC_ACT_SHOT };
    come_again(skb);
    // Not more than headers, which are linear: only a packet that is linear can grow.
    // SAFETY: the context of this run.
    let is_cut = unsafe { bpf_skb_change_tail(ctx.as_ptr().cast(), part.l4, 0) } == 0;
    for slot in 0..Held::SLOTS {
        part.key.slot = slot;
        // SAFETY: if the entry is reused while it is read, what comes of it is judged like any packet.
        let Some(held) = (unsafe { HELD.get(&part.key) }) else { break };
        if is_cut && !is_over(held.since) && becomes(skb, held) {
            come_again(skb);
        }
        let _ = HELD.remove(&part.key);
    }
    TC_ACT_SHOT
}

/// Makes the packet another one. It is linear.
#[inline(always)]
fn becomes(skb: &Skb<'_>, held: &Held) -> bool {
    let len = held.len;
    if len == 0 || len > Held::MAX_LEN {
        return false;
    }
    // SAFETY: the context of this run.
    let is_as_long = unsafe { bpf_skb_change_tail(skb.raw(), len, 0) } == 0;
    // SAFETY: the same, and as many bytes as there are.
    is_as_long && unsafe { bpf_skb_store_bytes(skb.raw().cast(), 0, held.frame.as_ptr().cast(), len, 0) } == 0
}

/// Queues a copy of the packet to be received where it was received.
#[inline(always)]
fn come_again(skb: &Skb<'_>) {
    // SAFETY: the context of this run, and an interface. If there is no room in the queue, the network has lost a packet.
    let _ = unsafe { bpf_clone_redirect(skb.raw(), skb.ifindex(), BPF_F_INGRESS.into()) };
}

/// What is remembered of the first fragment of a datagram.
#[inline(always)]
fn known<F: KernelFamily>(id: &FragmentKey<F::Addr>) -> Option<FirstFragment> {
    // SAFETY: copied out at once; a torn read needs the entry to be reused at that very moment.
    let first = *unsafe { F::fragments().get(id) }?;
    if is_over(first.since) { None } else { Some(first) }
}

/// Whether a datagram of which something came then is given up.
#[inline(always)]
fn is_over(since: u32) -> bool {
    now().wrapping_sub(since) > Held::PATIENCE
}

#[inline(always)]
fn datagram<F: KernelFamily>(packet: &Packet<F::Addr>, ifindex: u32) -> FragmentKey<F::Addr> {
    let protocol = if F::NUMBERS_BY_PROTOCOL { packet.key.protocol.into() } else { 0 };
    FragmentKey { src: packet.key.src, dst: packet.key.dst, id: packet.fragment.id, ifindex, protocol, _pad: 0 }
}

/// Notes which datagram it is about.
#[inline(always)]
fn note<F: KernelFamily>(part: &mut Part, id: &FragmentKey<F::Addr>) {
    let FragmentKey { id: number, ifindex, protocol, .. } = *id;
    part.key = HeldKey { src: F::words(&id.src), dst: F::words(&id.dst), id: number, ifindex, protocol, slot: 0 };
}

/// This CPU's.
#[inline(always)]
fn part() -> Option<&'static mut Part> {
    // SAFETY: nobody else's, for a program is not interrupted by another on the same hook, and each takes it once.
    PART.get_ptr_mut(0).map(|part| unsafe { &mut *part })
}

/// [`remember`] and [`settle`] as the kernel has them.
macro_rules! global {
    ($($remember:ident, $settle:ident: $family:ident;)+) => { $(
        #[unsafe(no_mangle)]
        #[inline(never)]
        pub extern "C" fn $remember(ifindex: u32) -> u32 {
            u32::from(remember::<$family>(ifindex))
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        pub extern "C" fn $settle(ifindex: u32, action: i32) -> u32 {
            settle::<$family>(ifindex, action);
            0
        }
    )+ };
}

global! {
    remember4, settle4: V4;
    remember6, settle6: V6;
}
