//! ICMP errors: each belongs to the flow of the packet inside it, and goes where that flow's answers go, changed as they are.

use aya_ebpf::{
    bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC},
    programs::TcContext,
};
use caracal_abi::{
    Address as _, Be16, Flow, FlowKey, Hook, Reason, Translation, both, change as change_of, change_of_word,
};
use caracal_logic::{Kind, Packet, headers, inner, sctp};

use crate::{
    count::{count, drop},
    draft::{draft, is_pod},
    family::KernelFamily,
    forward::go_related,
    maps::HOST_NAT,
    skb::Skb,
    table,
    translate::{PSEUDO_HEADER, echo_id, sctp_checksum_after},
    walk::drafted,
};

/// Sends an error to the one whose packet it is about.
#[inline(always)]
pub fn decide<F: KernelFamily>(ctx: &TcContext) -> i32 {
    let skb = &Skb::new(ctx);
    let Some(draft) = draft::<F>() else { return TC_ACT_SHOT };
    let packet = &drafted::<F>(draft);
    let hook = draft.hook();
    let Some((inner, flow)) = flow::<F>(skb, packet, hook) else { return unrelated::<F>(skb, packet, hook) };
    if packet.ttl <= 1 {
        return drop(skb, hook, Reason::Unrelated);
    }
    let is_translated = flow.flags & Flow::<F::Addr>::TRANSLATED != 0;
    if is_translated && translate::<F>(skb, packet, &inner, &flow.translation).is_none() {
        return drop(skb, hook, Reason::Malformed);
    }
    count(skb, hook, Reason::Related);
    go_related::<F>(skb, packet, flow)
}

/// The packet that an error is about, and the flow of its answers.
type About<A> = (Packet<A>, &'static mut Flow<A>);

/// The packet that an error is about, and the flow of its answers, which come the way that the error does.
#[inline(always)]
fn flow<F: KernelFamily>(skb: &Skb<'_>, packet: &Packet<F::Addr>, hook: Hook) -> Option<About<F::Addr>> {
    let inner = inner::<F, _>(skb, packet).ok()?;
    let flow = table::known::<F>(&inner.key.reverse())?;
    let comes_by_a_nic = flow.flags & Flow::<F::Addr>::FROM_NET != 0 && !is_pod(hook);
    (flow.in_ifindex == skb.ifindex() || comes_by_a_nic).then_some((inner, flow))
}

/// About no flow that is known here. The host may know what it is about, if it is for the host or the host translates.
#[inline(always)]
fn unrelated<F: KernelFamily>(skb: &Skb<'_>, packet: &Packet<F::Addr>, hook: Hook) -> i32 {
    let dst = &packet.key.dst;
    let is_hosts = match hook {
        Hook::FromPod => F::is_node(dst) || dst.is_link_local(),
        Hook::FromNet => F::endpoint(dst).is_none(),
    };
    if HOST_NAT.load() == 0 && !is_hosts {
        return drop(skb, hook, Reason::Unrelated);
    }
    if is_pod(hook) {
        count(skb, hook, Reason::ToHost);
    }
    TC_ACT_UNSPEC
}

/// Gives the error the addresses that the answers to the packet inside get, and that packet those that its sender knows.
#[inline(always)]
fn translate<F: KernelFamily>(
    skb: &Skb<'_>,
    packet: &Packet<F::Addr>,
    inner: &Packet<F::Addr>,
    of_answers: &Translation<F::Addr>,
) -> Option<()> {
    let Translation { src, dst, sport, dport, .. } = *of_answers;
    let content = restore::<F>(skb, inner, &FlowKey::new(dst, src, dport, sport, inner.key.protocol))?;
    // A router on the way keeps its address; the one whom the packet was for has another to the sender.
    let from = if packet.key.src == inner.key.dst { src } else { packet.key.src };
    let (none, protocol) = (Be16::new(0), packet.key.protocol);
    let outer = Translation::new(
        &FlowKey::new(packet.key.src, packet.key.dst, none, none, protocol),
        &FlowKey::new(from, dst, none, none, protocol),
    );
    let checksum = packet.l4 + core::mem::offset_of!(headers::Icmp, checksum);
    F::readdress(skb, packet.l3, &outer)?;
    if !F::HEADER_HAS_CHECKSUM {
        F::change_pseudo_header(skb, checksum, outer.address_change, PSEUDO_HEADER)?;
    }
    if content == 0 { Some(()) } else { skb.change_l4_checksum(checksum, content, 0) }
}

/// Gives the packet inside its old addresses and ports; tells what that does to the sum of the error's content.
#[inline(always)]
fn restore<F: KernelFamily>(skb: &Skb<'_>, inner: &Packet<F::Addr>, key: &FlowKey<F::Addr>) -> Option<u16> {
    let change = Translation::new(&inner.key, key);
    // IPv4's header has a checksum, which changes the other way.
    F::readdress(skb, inner.l3, &change)?;
    let mut content = if F::HEADER_HAS_CHECKSUM { 0 } else { change.address_change };
    let (checksum, covered) = match inner.kind {
        Kind::Tcp | Kind::Udp | Kind::Sctp => {
            let ports: *mut headers::Ports = skb.writable(inner.l4)?;
            // SAFETY: `writable` has checked that both are inside the packet.
            let ports = unsafe { &mut *ports };
            ports.src = key.sport;
            ports.dst = key.dport;
            content = both(content, change.port_change);
            let covered = both(change.address_change, change.port_change);
            match inner.kind {
                Kind::Tcp => (core::mem::offset_of!(headers::Tcp, checksum), covered),
                Kind::Udp => (core::mem::offset_of!(headers::Udp, checksum), covered),
                _ => return Some(sctp_checksum::<F>(skb, inner, key, content)),
            }
        }
        Kind::Echo => {
            let echo: *mut headers::Icmp = skb.writable(inner.l4)?;
            // SAFETY: `writable` has checked that the whole header is inside the packet.
            let echo = unsafe { &mut *echo };
            let id = change.port_change;
            echo.id = echo_id(key.sport, key.dport);
            let covered = if F::HEADER_HAS_CHECKSUM { id } else { both(change.address_change, id) };
            content = both(content, id);
            (core::mem::offset_of!(headers::Icmp, checksum), covered)
        }
        _ => return Some(content),
    };
    // Routers need not send more than the first eight bytes: then it is not there, and nobody misses it.
    let Some(checksum) = skb.writable::<Be16>(inner.l4 + checksum) else { return Some(content) };
    // SAFETY: `writable` has checked that it is inside the packet.
    let checksum = unsafe { &mut *checksum };
    let before = *checksum;
    if inner.kind == Kind::Udp && before == Be16::new(0) {
        return Some(content);
    }
    *checksum = caracal_logic::checksum_after(before, covered.into());
    Some(both(content, change_of(before, *checksum)))
}

/// SCTP's knows no addresses. It is of the whole packet, however much of it is quoted.
#[inline(always)]
fn sctp_checksum<F: KernelFamily>(skb: &Skb<'_>, inner: &Packet<F::Addr>, key: &FlowKey<F::Addr>, content: u16) -> u16 {
    let Some(header) = skb.writable::<headers::Sctp>(inner.l4) else { return content };
    // SAFETY: `writable` has checked that the whole header is inside the packet.
    let before = unsafe { (*header).checksum };
    let change = sctp::word(inner.key.sport, inner.key.dport) ^ sctp::word(key.sport, key.dport);
    let after = sctp_checksum_after(before, change, inner);
    let Some(header) = skb.writable::<headers::Sctp>(inner.l4) else { return content };
    // SAFETY: the same.
    unsafe { (*header).checksum = after };
    both(content, change_of_word(before, after))
}
