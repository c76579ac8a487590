//! A flow's two directions while they are decided: outside the stack, which two flows and two keys of IPv6 nearly fill.

use caracal_abi::{Endpoint, Flow, Hook, Via};

use crate::{
    family::KernelFamily,
    forward::{now, via},
    maps::Draft,
    route::ANY_LENGTH,
};

/// This CPU's.
#[inline(always)]
pub fn draft<F: KernelFamily>() -> Option<&'static mut Draft<F::Addr>> {
    let draft = F::draft()?;
    // SAFETY: nobody else's, for a program is not interrupted by another on the same hook, and each takes it once.
    Some(unsafe { &mut *draft })
}

impl<A> Draft<A> {
    /// Which hook the packet came to.
    #[inline(always)]
    pub fn hook(&self) -> Hook {
        if self.hook == Hook::FromPod as u8 { Hook::FromPod } else { Hook::FromNet }
    }
}

/// Whether a hook sees what pods send.
#[inline(always)]
pub fn is_pod(hook: Hook) -> bool {
    hook as u8 == Hook::FromPod as u8
}

/// A new flow from an interface, of which a packet of this many bytes was seen, or none.
#[inline(always)]
pub fn begin<A>(flow: &mut Flow<A>, in_ifindex: u32, bytes: u32) {
    flow.in_ifindex = in_ifindex;
    flow.seen = 0;
    flow.flags = 0;
    flow.last_seen = if bytes == 0 { 0 } else { now() };
    flow.max_len = ANY_LENGTH;
    flow.packets = u64::from(bytes != 0);
    // SAFETY: a reference is valid. By itself, for two zeros side by side would become a loop over their bytes.
    unsafe { (&raw mut flow.bytes).write_volatile(bytes.into()) };
}

/// Its packets go to a pod of this node.
#[inline(always)]
pub fn towards<A>(flow: &mut Flow<A>, pod: &Endpoint) {
    flow.out_ifindex = pod.ifindex;
    flow.via = via(pod) as u8;
    flow.dst_mac = pod.pod_mac;
    flow.src_mac = pod.host_mac;
}

/// Its packets leave by a NIC, this one until the host's routes have been asked: that is when the first comes.
#[inline(always)]
pub fn out_of<A>(flow: &mut Flow<A>, ifindex: u32) {
    flow.out_ifindex = ifindex;
    flow.via = Via::Neighbour as u8;
    flow.flags |= Flow::<A>::ROUTED;
}
