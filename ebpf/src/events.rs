//! Events: what is counted, told packet by packet to whoever watches.
//!
//! Only what is counted can be told, so that packets of established flows have no part in it. Which reasons are, is frozen
//! before the programs load: of telling the others the verifier leaves nothing but the question.

use core::ptr::NonNull;

use aya_ebpf::{
    Global,
    bindings::__sk_buff,
    btf_maps::{PerCpuArray, RingBuf},
    helpers::{bpf_get_prandom_u32, bpf_ktime_get_ns, generated::bpf_jiffies64},
    macros::btf_map,
    programs::TcContext,
};
use caracal_abi::{Disposition, Event, EventState, Flow, Hook, Reason};
use caracal_logic::{Family, Pace, V4, V6, parse};

use crate::{draft::draft, family::KernelFamily, skb::Skb, walk::L3};

/// Bytes; user space asks for more where events are wanted.
const LEAST_BUFFER: usize = 4096;

#[btf_map]
static EVENTS: RingBuf<Event, LEAST_BUFFER> = RingBuf::new();

#[btf_map]
static EVENTS_STATE: PerCpuArray<EventState, 1> = PerCpuArray::new();

/// The reasons that are told, a bit for each by its number.
#[unsafe(no_mangle)]
static EVENT_REASONS: Global<u64> = Global::new(0);

/// Of packets that were not dropped one of so many is told. Frozen like the next.
#[unsafe(no_mangle)]
static EVENT_ONE_IN: Global<u32> = Global::new(1);

/// A [`Pace`]: gain, cost, most.
#[unsafe(no_mangle)]
static EVENT_PACE: Global<[u32; 3]> = Global::new([0, 1, 0]);

/// Tells of a packet, if this reason is one to be told.
#[inline(always)]
pub fn tell(skb: &Skb<'_>, hook: Hook, reason: Reason) {
    if EVENT_REASONS.load() & (1 << reason as u32) != 0 {
        // The verifier looks at it once, whoever calls it.
        event(
            skb.raw(),
            u32::from(hook as u8) | u32::from(reason as u8) << HOOK_BITS | sampled(reason) | drafted(reason),
        );
    }
}

/// Where the reason begins in what [`event`] is told.
const HOOK_BITS: u32 = 8;
/// Not each such packet is told of.
const SAMPLED: u32 = 1 << 16;
/// What becomes of the addresses stands in the draft.
const DRAFTED: u32 = 1 << 17;

#[inline(always)]
const fn sampled(reason: Reason) -> u32 {
    if matches!(reason.disposition(), Disposition::Dropped) { 0 } else { SAMPLED }
}

#[inline(always)]
const fn drafted(reason: Reason) -> u32 {
    if matches!(reason, Reason::NewFlow | Reason::Service) { DRAFTED } else { 0 }
}

/// A global function to the verifier. The packet is read anew: not everybody who counts has read it.
#[unsafe(no_mangle)]
#[inline(never)]
#[expect(clippy::cast_possible_truncation, reason = "the clock's lower half is as wide as stamps are")]
extern "C" fn event(raw: *mut __sk_buff, what: u32) -> u32 {
    let Some(state) = EVENTS_STATE.get_ptr_mut(0) else { return 0 };
    // SAFETY: this CPU's own, and a program is not interrupted by another on the same hook.
    let state = unsafe { &mut *state };
    // SAFETY: takes nothing, returns a number.
    let random = || unsafe { bpf_get_prandom_u32() };
    let one_in = EVENT_ONE_IN.load();
    if what & SAMPLED != 0 && one_in > 1 && random() % one_in != 0 {
        return 0;
    }
    let [gain, cost, most] = EVENT_PACE.load();
    // SAFETY: takes nothing, returns a number.
    let jiffy = unsafe { bpf_jiffies64() } as u32;
    if !(Pace { gain, cost, most }).allows(state, jiffy) {
        return 0;
    }
    let Some(mut entry) = EVENTS.reserve(0) else {
        state.lost += 1;
        return 0;
    };
    if let Some(context) = NonNull::new(raw) {
        write(&Skb::new(&TcContext::new(context)), what, entry.write(Event::default()));
    }
    entry.submit(0);
    0
}

/// Into the buffer's own memory: the stack has no room for it.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "hook and reason are a byte each")]
fn write(skb: &Skb<'_>, what: u32, event: &mut Event) {
    // SAFETY: takes nothing, returns a number.
    event.time_ns = unsafe { bpf_ktime_get_ns() };
    event.hook = what as u8;
    event.reason = (what >> HOOK_BITS) as u8;
    event.ifindex = skb.ifindex();
    event.bytes = skb.len();
    match skb.ether_type() {
        Some(V4::ETHER_TYPE) => write_packet::<V4>(skb, what, event),
        Some(V6::ETHER_TYPE) => write_packet::<V6>(skb, what, event),
        _ => {}
    }
}

#[inline(always)]
fn write_packet<F: KernelFamily>(skb: &Skb<'_>, what: u32, event: &mut Event) {
    let Ok(packet) = parse::<F, _>(skb, L3) else { return };
    let key = &packet.key;
    event.family = F::SOCKET_FAMILY;
    event.protocol = key.protocol;
    event.control = packet.control;
    event.src = F::words(&key.src);
    event.dst = F::words(&key.dst);
    event.sport = key.sport;
    event.dport = key.dport;
    if what & DRAFTED == 0 {
        return;
    }
    let Some(draft) = draft::<F>() else { return };
    let Flow { flags, translation, .. } = &draft.forth;
    if flags & Flow::<F::Addr>::TRANSLATED == 0 {
        return;
    }
    event.flags = Event::TRANSLATED;
    event.new_src = F::words(&translation.src);
    event.new_dst = F::words(&translation.dst);
    event.new_sport = translation.sport;
    event.new_dport = translation.dport;
}
