//! Answers to a sender whose packet goes nowhere: ICMP errors, and the end of a connection.
//!
//! Packets that nobody has translated are left to the host, which answers as every router does. Here are those that the host
//! would not understand: it knows neither the flow nor the addresses that its packets get.
//!
//! The packet becomes its answer in place, and leaves by the interface it came from.

use aya_ebpf::{
    bindings::{TC_ACT_SHOT, bpf_adj_room_mode::BPF_ADJ_ROOM_MAC},
    helpers::{bpf_csum_diff, bpf_redirect},
    programs::TcContext,
};
use caracal_abi::{Address as _, Be16, Be32, Hook, Reason};
use caracal_logic::{
    Kind, Packet,
    control::{ACK, FIN, RST, SYN},
    headers,
};

use crate::{
    count::count,
    draft::{draft, is_pod},
    family::KernelFamily,
    forward::now,
    maps::Draft,
    skb::Skb,
    walk::{L3, drafted},
};

/// Not an action of the kernel's: the packet is to be answered, with what [`Draft::trouble`] says.
pub const ANSWER: i32 = i32::MIN;

/// What is wrong with a packet.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Its lifetime is used up.
    TimeExceeded = 1,
    /// It is longer than [`Draft::mtu`].
    TooBig = 2,
    /// Its connection was ended from outside.
    Reset = 3,
}

/// Answers that a CPU gives in a tick: more than people and path discovery need, too few to be worth provoking.
const ANSWERS_PER_TICK: u32 = 1_000;

/// Bytes of the packet that an error can quote.
pub const QUOTE: usize = 128;

/// Notes what is wrong, for the program that answers.
#[inline(always)]
pub fn with<F: KernelFamily>(trouble: Trouble, mtu: u32) -> i32 {
    let Some(draft) = draft::<F>() else { return TC_ACT_SHOT };
    draft.trouble = trouble as u8;
    draft.mtu = mtu;
    ANSWER
}

/// Answers the packet that was read before.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the kernel's actions are small numbers")]
pub fn decide<F: KernelFamily>(ctx: &TcContext) -> i32 {
    let skb = &Skb::new(ctx);
    let Some(draft) = draft::<F>() else { return TC_ACT_SHOT };
    let packet = &drafted::<F>(draft);
    let hook = draft.hook();
    let is_reset = draft.trouble == Trouble::Reset as u8;
    let reason = match draft.trouble {
        trouble if trouble == Trouble::TimeExceeded as u8 => Reason::TtlAnswered,
        trouble if trouble == Trouble::TooBig as u8 => Reason::TooBig,
        _ => Reason::Reset,
    };
    count(skb, hook, reason);
    if !may_answer(draft) || packet.key.dst.is_multicast() {
        return TC_ACT_SHOT;
    }
    let made = if is_reset { reset::<F>(skb, packet) } else { error::<F>(skb, packet, hook, draft) };
    if made.is_none() {
        return TC_ACT_SHOT;
    }
    // SAFETY: takes an interface index and flags.
    unsafe { bpf_redirect(skb.ifindex(), 0) as i32 }
}

#[inline(always)]
fn may_answer<A>(draft: &mut Draft<A>) -> bool {
    let now = now();
    if draft.answers_tick != now {
        (draft.answers_tick, draft.answers) = (now, 0);
    }
    draft.answers += 1;
    draft.answers <= ANSWERS_PER_TICK
}

/// Makes an ICMP error of the packet.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "headers are short")]
fn error<F: KernelFamily>(
    skb: &Skb<'_>,
    packet: &Packet<F::Addr>,
    hook: Hook,
    draft: &mut Draft<F::Addr>,
) -> Option<()> {
    const ICMP: u32 = size_of::<headers::Icmp>() as u32;

    if !packet.kind.has_flow() {
        return None;
    }
    // The kernel keeps where TCP's checksum is to be computed, and cuts no packet before it.
    let transport = if packet.kind == Kind::Tcp { size_of::<headers::Tcp>() } else { 8 };
    let quoted = (packet.l4 - L3 + transport) as u32;
    // Behind the packet there are zeroes, which sums do not mind.
    draft.quote = [0; QUOTE / 4];
    skb.load(L3 as u32, &mut draft.quote, quoted)?;
    skb.cut(L3 as u32 + quoted)?;
    skb.make_room(F::HEADER_LEN + ICMP, BPF_ADJ_ROOM_MAC)?;
    turn_around(skb)?;
    let from = if is_pod(hook) && !F::is_node(&packet.key.dst) { F::GATEWAY } else { packet.key.dst };
    F::write_header(skb, L3, &from, &packet.key.src, F::ICMP, ICMP + quoted)?;
    let is_too_big = draft.trouble == Trouble::TooBig as u8;
    let (icmp_type, code) = if is_too_big { F::TOO_BIG } else { F::TIME_EXCEEDED };
    let icmp: *mut headers::Icmp = skb.writable(L3 + F::HEADER_LEN as usize)?;
    // SAFETY: `writable` has checked that the whole header is inside the packet.
    let icmp = unsafe { &mut *icmp };
    let [id, sequence] = if is_too_big { F::mtu_words(draft.mtu) } else { [0, 0] };
    icmp.icmp_type = icmp_type;
    icmp.code = code;
    icmp.checksum = Be16::new(0);
    icmp.id = Be16::new(id);
    icmp.sequence = Be16::new(sequence);
    let seed = F::pseudo_header(&from, &packet.key.src, F::ICMP, ICMP + quoted);
    let quote = sum(draft.quote.as_mut_ptr(), QUOTE as u32, seed);
    icmp.checksum = complement(sum(core::ptr::from_mut(icmp).cast(), ICMP, quote));
    Some(())
}

/// Makes a TCP reset of the packet, as if its receiver had sent it (RFC 9293, 3.5.2).
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "headers are short")]
fn reset<F: KernelFamily>(skb: &Skb<'_>, packet: &Packet<F::Addr>) -> Option<()> {
    const TCP: u32 = size_of::<headers::Tcp>() as u32;

    let at = L3 + F::HEADER_LEN as usize;
    // Nobody answers a reset; with options or extension headers in between there would be more to take out.
    if packet.kind != Kind::Tcp || packet.control & RST != 0 || packet.l4 != at {
        return None;
    }
    let tcp: *mut headers::Tcp = skb.writable(at)?;
    // SAFETY: `writable` has checked that the whole header is inside the packet.
    let before = unsafe { *tcp };
    let data = skb.len() - (at + before.header_len()) as u32;
    let flags = u32::from(before.flags & SYN != 0) + u32::from(before.flags & FIN != 0);
    skb.cut(at as u32 + TCP)?;
    turn_around(skb)?;
    let (from, to) = (packet.key.dst, packet.key.src);
    F::write_header(skb, L3, &from, &to, packet.key.protocol, TCP)?;
    let tcp: *mut headers::Tcp = skb.writable(at)?;
    // SAFETY: the same.
    let tcp = unsafe { &mut *tcp };
    tcp.ports = headers::Ports { src: packet.key.dport, dst: packet.key.sport };
    let has_ack = before.flags & ACK != 0;
    tcp.sequence = if has_ack { before.acknowledgement } else { Be32::new(0) };
    let acknowledged = before.sequence.get().wrapping_add(data + flags);
    tcp.acknowledgement = if has_ack { Be32::new(0) } else { Be32::new(acknowledged) };
    tcp.data_offset = 5 << 4;
    tcp.flags = if has_ack { RST } else { RST | ACK };
    tcp.window = Be16::new(0);
    tcp.checksum = Be16::new(0);
    tcp.urgent = Be16::new(0);
    let seed = F::pseudo_header(&from, &to, packet.key.protocol, TCP);
    tcp.checksum = complement(sum(core::ptr::from_mut(tcp).cast(), TCP, seed));
    Some(())
}

/// Back to where it came from.
#[inline(always)]
fn turn_around(skb: &Skb<'_>) -> Option<()> {
    let ethernet: *mut headers::Ethernet = skb.writable(0)?;
    // SAFETY: `writable` has checked that the whole header is inside the packet.
    let ethernet = unsafe { &mut *ethernet };
    (ethernet.dst, ethernet.src) = (ethernet.src, ethernet.dst);
    Some(())
}

/// Ones' complement sum of words, and of what was summed up before.
#[inline(always)]
pub fn sum(words: *mut u32, len: u32, before: u32) -> u32 {
    // SAFETY: the callers' memory is as long as they say.
    let sum = unsafe { bpf_csum_diff(core::ptr::null_mut(), 0, words, len, before) };
    u32::try_from(sum).unwrap_or_default()
}

/// A sum as checksums are written.
#[inline(always)]
pub fn complement(sum: u32) -> Be16 {
    Be16::from_memory(!caracal_abi::fold(sum))
}
