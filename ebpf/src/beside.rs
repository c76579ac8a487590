//! Living beside a host that translates addresses: kube-proxy's services, the port mappings of other plugins.
//!
//! A pod asks a service; the host's netfilter sends the packet to a pod of this node, having changed its destination.
//! That pod's answer is addressed to the first, and must pass the host again, which changes it back. Taken straight to
//! the first pod it would come from a stranger.
//!
//! An answer of that kind cannot be told from the first packet of a new flow, but for this: the question was never seen
//! here with these addresses. So a flow begins by the host's stack, and becomes direct when a packet of the other
//! direction is seen to answer it. That never happens to a flow the host translates.

use aya_ebpf::bindings::TC_ACT_UNSPEC;
use caracal_abi::{Endpoint, Flow, Ip4, Via};
use caracal_logic::{Kind, Packet};

use crate::{family::KernelFamily, forward::account, skb::Skb};

const AWAITS_REPLY: u8 = Flow::<Ip4>::AWAITS_REPLY;

const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// A packet of a flow that goes by the host. `None` if it is to be judged anew: a connection is being accepted, and
/// with the same ports as an earlier one it may be another kind.
#[inline(always)]
pub fn established<A>(skb: &Skb<'_>, packet: &Packet<A>, flow: &mut Flow<A>) -> Option<i32> {
    if packet.kind == Kind::Tcp && packet.tcp_flags & (SYN | ACK) == SYN | ACK {
        return None;
    }
    account(skb, flow);
    Some(TC_ACT_UNSPEC)
}

/// Whether this answers a flow that the receiver began.
#[inline(always)]
pub fn is_reply<F: KernelFamily>(packet: &Packet<F::Addr>, receiver: &Endpoint) -> bool {
    if !packet.kind.has_flow() || packet.kind == Kind::Tcp && packet.tcp_flags & (SYN | ACK) != SYN | ACK {
        return false;
    }
    // SAFETY: read at once; a torn read needs the entry to be reused at that very moment.
    let question = unsafe { F::flows().get(&packet.key.reverse()) };
    question.is_some_and(|flow| flow.in_ifindex == receiver.ifindex && flow.state == AWAITS_REPLY)
}

/// Stores that this flow goes by the host, and whether a reply may change that. For TCP only one that was seen to begin.
#[inline(always)]
pub fn remember<F: KernelFamily>(packet: &Packet<F::Addr>, flow: &mut Flow<F::Addr>) {
    let is_tcp = packet.kind == Kind::Tcp;
    if !packet.kind.has_flow() || is_tcp && packet.tcp_flags & RST != 0 {
        return;
    }
    let begins = !is_tcp || packet.tcp_flags & (SYN | ACK) == SYN;
    flow.via = Via::Host as u8;
    flow.state = if begins { AWAITS_REPLY } else { 0 };
    // Where there is no room, the next packet is judged like this one.
    let _ = F::flows().insert(&packet.key, flow, 0);
}
