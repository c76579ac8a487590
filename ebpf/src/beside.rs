//! Living beside a host that translates addresses: kube-proxy's services, the port mappings of other plugins.
//!
//! A pod asks a service; the host's netfilter sends the packet to a pod of this node, having changed its destination.
//! That pod's answer is addressed to the first, and must pass the host again, which changes it back. Taken straight to
//! the first pod it would come from a stranger.
//!
//! An answer of that kind cannot be told from the first packet of a new flow, but for this: the question was never seen
//! here with these addresses. So a flow begins by the host's stack, and becomes direct when a packet of the other
//! direction is seen to answer it. That never happens to a flow the host translates.

use caracal_abi::{Endpoint, Flow, Via};
use caracal_logic::{
    Kind, Packet,
    control::{ACK, RST, SYN, opens},
};

use crate::{
    family::KernelFamily,
    maps::{Draft, HOST_NAT},
    table,
};

/// Whether this packet opens a connection, so that what was decided about its tuple may be about another one, of the other
/// kind. The server may repeat its answer until the client has gone on.
#[inline(always)]
pub fn reopens<A>(packet: &Packet<A>, flow: &Flow<A>) -> bool {
    HOST_NAT.load() != 0
        && packet.kind == Kind::Tcp
        && packet.control & SYN != 0
        && flow.flags & Flow::<A>::TRANSLATED == 0
}

/// Whether this answers a flow that the receiver began: one whose question waits for it, or has been answered already by a
/// packet that this one repeats.
#[inline(always)]
pub fn is_reply<F: KernelFamily>(packet: &Packet<F::Addr>, receiver: &Endpoint) -> bool {
    if !packet.kind.has_flow() || packet.kind == Kind::Tcp && packet.control & (SYN | ACK) != SYN | ACK {
        return false;
    }
    table::new::<F>(&packet.key.reverse())
        .is_some_and(|flow| flow.in_ifindex == receiver.ifindex && flow.flags & Flow::<F::Addr>::AWAITS_REPLY != 0)
}

/// Stores that this flow goes by the host, and whether a reply may change that. For TCP only one that was seen to begin.
#[inline(always)]
pub fn remember<F: KernelFamily>(packet: &Packet<F::Addr>, draft: &mut Draft<F::Addr>) {
    let is_tcp = packet.kind == Kind::Tcp;
    if !packet.kind.has_flow() || is_tcp && packet.control & RST != 0 {
        return;
    }
    let begins = !is_tcp || opens(packet.control);
    if is_tcp && packet.control & SYN != 0 {
        // Of a connection before this one, with the same ports.
        let _ = F::flows().remove(&packet.key);
        let _ = F::flows().remove(&packet.key.reverse());
    }
    draft.forth.via = Via::Host as u8;
    draft.forth.flags = if begins { Flow::<F::Addr>::AWAITS_REPLY } else { 0 };
    table::store_one::<F>(&packet.key, draft);
}
