//! Counting what became of a packet, and telling who watches.

use aya_ebpf::bindings::TC_ACT_SHOT;
use caracal_abi::{Hook, Reason, counter_slot};

use crate::{events::tell, maps::COUNTERS, skb::Skb};

/// Counts the packet under a reason.
#[inline(always)]
pub fn count(skb: &Skb<'_>, hook: Hook, reason: Reason) {
    if let Some(counter) = COUNTERS.get_ptr_mut(counter_slot(hook, reason)) {
        // SAFETY: this CPU's own slot, and a program is not interrupted by another on the same hook.
        let counter = unsafe { &mut *counter };
        counter.packets += 1;
        counter.bytes += u64::from(skb.len());
    }
    tell(skb, hook, reason);
}

/// Counts the packet under a reason, and drops it.
#[inline(always)]
pub fn drop(skb: &Skb<'_>, hook: Hook, reason: Reason) -> i32 {
    count(skb, hook, reason);
    TC_ACT_SHOT
}
