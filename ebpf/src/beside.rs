//! Living beside a host that translates addresses: kube-proxy's services, the port mappings of other plugins.
//!
//! A pod asks a service; the host's netfilter sends the packet to a pod of this node, having changed its destination.
//! That pod's answer is addressed to the first, and must pass the host again, which changes it back. Taken straight to
//! the first pod it would come from a stranger.
//!
//! An answer of that kind cannot be told from the first packet of a new flow, but for this: the question was never seen
//! here with these addresses. So a flow begins by the host's stack, and becomes direct when a packet of the other
//! direction is seen to answer it. That never happens to a flow the host translates.

use caracal_abi::{Endpoint, Flow, Ip4, Via};
use caracal_logic::{Kind, Packet};

use crate::family::KernelFamily;

const AWAITS_REPLY: u8 = Flow::<Ip4>::AWAITS_REPLY;
const TRANSLATED: u16 = Flow::<Ip4>::TRANSLATED;

const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// Whether this packet opens a connection, so that what was decided about its tuple may be about another one, of the other
/// kind. The client's first packet after that ends the opening: the server does not repeat its answer any more.
#[inline(always)]
pub fn opens<A>(packet: &Packet<A>, flow: &mut Flow<A>) -> bool {
    if packet.kind != Kind::Tcp || flow.flags & TRANSLATED != 0 {
        return false;
    }
    if packet.tcp_flags & SYN != 0 {
        return true;
    }
    if flow.state == AWAITS_REPLY && flow.via != Via::Host as u8 {
        flow.state = 0;
    }
    false
}

/// Marks the way of the client's packets of a connection that has just become direct: it is being opened still.
#[inline(always)]
pub fn is_opening<A>(packet: &Packet<A>, question: &mut Flow<A>) {
    if packet.kind == Kind::Tcp {
        question.state = AWAITS_REPLY;
    }
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
