//! Giving a packet other addresses and ports.

use caracal_abi::{Be16, Be32, Translation, both, change_of_word};
use caracal_logic::{Kind, Packet, headers, sctp};

use crate::{family::KernelFamily, skb::Skb};

/// Offsets of the checksum in a transport header.
const TCP_CHECKSUM: usize = core::mem::offset_of!(headers::Tcp, checksum);
const UDP_CHECKSUM: usize = core::mem::offset_of!(headers::Udp, checksum);

// Flags of bpf_l4_csum_replace.
pub const PSEUDO_HEADER: u64 = 1 << 4;
/// No checksum stays none, and one that comes out as zero is written the other way that zero has.
const NONE_IS_ZERO: u64 = 1 << 5;

/// Rewrites addresses, ports and checksums. Pointers into the packet are void afterwards.
///
/// Whether the transport checksum is there already or the NIC's to compute only the kernel knows, so it is the one that
/// changes it.
#[inline(always)]
pub fn translate<F: KernelFamily>(
    skb: &Skb<'_>,
    packet: &Packet<F::Addr>,
    translation: &Translation<F::Addr>,
) -> Option<()> {
    F::readdress(skb, packet.l3, translation)?;
    match packet.kind {
        Kind::Tcp => {
            write_ports(skb, packet.l4, translation.sport, translation.dport)?;
            checksums::<F>(skb, packet.l4 + TCP_CHECKSUM, 0, translation)
        }
        Kind::Udp => {
            write_ports(skb, packet.l4, translation.sport, translation.dport)?;
            checksums::<F>(skb, packet.l4 + UDP_CHECKSUM, NONE_IS_ZERO, translation)
        }
        Kind::Echo => echo::<F>(skb, packet, translation),
        _ => {
            // No checksum of theirs changes along with the addresses.
            if !F::HEADER_HAS_CHECKSUM {
                skb.change_whole_sum(translation.address_change);
            }
            Some(())
        }
    }
}

#[inline(always)]
fn write_ports(skb: &Skb<'_>, l4: usize, sport: Be16, dport: Be16) -> Option<()> {
    let ports: *mut headers::Ports = skb.writable(l4)?;
    // SAFETY: `writable` has checked that both are inside the packet.
    let ports = unsafe { &mut *ports };
    ports.src = sport;
    ports.dst = dport;
    Some(())
}

#[inline(always)]
fn checksums<F: KernelFamily>(skb: &Skb<'_>, at: usize, flags: u64, translation: &Translation<F::Addr>) -> Option<()> {
    F::change_pseudo_header(skb, at, translation.address_change, flags | PSEUDO_HEADER)?;
    if translation.port_change != 0 {
        skb.change_l4_checksum(at, translation.port_change, flags)?;
    }
    Some(())
}

/// The identifier of an echo with these ports, of which one is none.
#[inline(always)]
pub fn echo_id(sport: Be16, dport: Be16) -> Be16 {
    if sport == Be16::new(0) { dport } else { sport }
}

/// IPv4's checksum knows no addresses here.
#[inline(always)]
fn echo<F: KernelFamily>(skb: &Skb<'_>, packet: &Packet<F::Addr>, translation: &Translation<F::Addr>) -> Option<()> {
    let header: *mut headers::Icmp = skb.writable(packet.l4)?;
    // SAFETY: `writable` has checked that the whole header is inside the packet.
    unsafe { (*header).id = echo_id(translation.sport, translation.dport) };
    let at = packet.l4 + core::mem::offset_of!(headers::Icmp, checksum);
    if !F::HEADER_HAS_CHECKSUM {
        F::change_pseudo_header(skb, at, translation.address_change, PSEUDO_HEADER)?;
    }
    if translation.port_change != 0 {
        skb.change_l4_checksum(at, translation.port_change, 0)?;
    }
    Some(())
}

/// SCTP's ports, which [`translate`] leaves alone. The checksum knows no addresses.
#[inline(always)]
pub fn sctp_ports<A>(skb: &Skb<'_>, packet: &Packet<A>, translation: &Translation<A>) -> Option<()> {
    let header: *mut headers::Sctp = skb.writable(packet.l4)?;
    // SAFETY: `writable` has checked that the whole header is inside the packet.
    let header = unsafe { &mut *header };
    let change = sctp::word(header.ports.src, header.ports.dst) ^ sctp::word(translation.sport, translation.dport);
    header.ports.src = translation.sport;
    header.ports.dst = translation.dport;
    let before = header.checksum;
    let checksum = sctp_checksum_after(before, change, packet);
    skb.change_whole_sum(both(translation.port_change, change_of_word(before, checksum)));
    let header: *mut headers::Sctp = skb.writable(packet.l4)?;
    // SAFETY: the same.
    unsafe { (*header).checksum = checksum };
    Some(())
}

/// The checksum of an SCTP packet whose first word has changed. Zero stands for one that is the NIC's to compute.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "headers are short")]
pub fn sctp_checksum_after<A>(checksum: Be32, change: u32, packet: &Packet<A>) -> Be32 {
    if change == 0 || checksum.get() == 0 {
        return checksum;
    }
    let len = packet.l3_len - (packet.l4 - packet.l3) as u32;
    // The one number in the protocol that goes over the wire lowest byte first.
    Be32::new(checksum.get() ^ sctp_checksum_change(change, len).swap_bytes())
}

/// A global function to the verifier, which looks at its loops once, whoever calls it and with whatever numbers.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn sctp_checksum_change(word_change: u32, len: u32) -> u32 {
    sctp::checksum_change(word_change, len)
}
