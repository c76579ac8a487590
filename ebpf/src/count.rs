//! Counting what became of a packet.

use caracal_abi::{Hook, Reason, counter_slot};

use crate::{maps::COUNTERS, skb::Skb};

/// Counts the packet under a reason.
#[inline(always)]
pub fn count(skb: &Skb<'_>, hook: Hook, reason: Reason) {
    if let Some(counter) = COUNTERS.get_ptr_mut(counter_slot(hook, reason)) {
        // SAFETY: this CPU's own slot, and a program is not interrupted by another on the same hook.
        let counter = unsafe { &mut *counter };
        counter.packets += 1;
        counter.bytes += u64::from(skb.len());
    }
}
