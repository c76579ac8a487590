//! What can be done to a finished packet beneath its transport: tags, options, extension headers, fragments.

use crate::packet::{Edit, FRAGMENT, Packet};

const ETHERNET: usize = 14;
const IPV6_HEADER: usize = 40;

/// With a VLAN tag.
#[must_use]
pub fn vlan(frame: &[u8], id: u16) -> Vec<u8> {
    tagged(frame, 0x8100, id)
}

/// With a service provider's tag (802.1ad), as the outer of two.
#[must_use]
pub fn provider_vlan(frame: &[u8], id: u16) -> Vec<u8> {
    tagged(frame, 0x88a8, id)
}

fn tagged(frame: &[u8], ether_type: u16, id: u16) -> Vec<u8> {
    let mut tagged = frame[..12].to_vec();
    tagged.extend(ether_type.to_be_bytes());
    tagged.extend(id.to_be_bytes());
    tagged.extend(&frame[12..]);
    tagged
}

/// With IPv4 options; a multiple of four bytes, 40 at most.
#[must_use]
pub fn ipv4_options(frame: &[u8], options: &[u8]) -> Vec<u8> {
    let packet = ip(frame);
    assert!(packet.is_ipv4() && options.len().is_multiple_of(4) && options.len() <= 40, "no options of an IPv4 packet");
    let l4 = ETHERNET + packet.ip_header_len();
    let mut with = [&frame[..l4], options, &frame[l4..]].concat();
    with[ETHERNET] += u8::try_from(options.len() / 4).expect("at most ten words");
    let total = u16::try_from(with.len() - ETHERNET).expect("a packet's length");
    with[ETHERNET + 2..ETHERNET + 4].copy_from_slice(&total.to_be_bytes());
    closed(&with)
}

/// With an IPv6 extension header before all others that say their length: 0 hop-by-hop, 43 routing, 60 destination. Its
/// content lacks next header and length, and is padded to a multiple of eight bytes.
#[must_use]
pub fn ipv6_extension(frame: &[u8], number: u8, content: &[u8]) -> Vec<u8> {
    let mut extension = vec![0, 0];
    extension.extend(content);
    extension.resize(extension.len().next_multiple_of(8), 0);
    extension[1] = u8::try_from(extension.len() / 8 - 1).expect("a length in eight bytes");
    inserted(frame, number, extension)
}

/// With a fragment header although it is whole (RFC 6946).
#[must_use]
pub fn atomic_fragment(frame: &[u8], id: u32) -> Vec<u8> {
    inserted(frame, FRAGMENT, fragment_header(0, false, id))
}

fn inserted(frame: &[u8], number: u8, mut extension: Vec<u8>) -> Vec<u8> {
    assert!(!ip(frame).is_ipv4(), "an extension header belongs into an IPv6 packet");
    let at = ETHERNET + IPV6_HEADER;
    extension[0] = frame[ETHERNET + 6];
    let mut with = [&frame[..at], &extension, &frame[at..]].concat();
    with[ETHERNET + 6] = number;
    let length = u16::try_from(with.len() - at).expect("a packet's length");
    with[ETHERNET + 4..ETHERNET + 6].copy_from_slice(&length.to_be_bytes());
    with
}

/// The fragments of a packet, with so many bytes above IP in each: multiples of eight. What is left goes into the last.
#[must_use]
pub fn fragments(frame: &[u8], id: u32, sizes: &[usize]) -> Vec<Vec<u8>> {
    let packet = ip(frame);
    let mut rest = packet.transport();
    let mut pieces = Vec::new();
    for size in sizes {
        assert!(size.is_multiple_of(8) && *size < rest.len(), "{size} bytes of {} are no fragment", rest.len());
        let (piece, others) = rest.split_at(*size);
        pieces.push(piece);
        rest = others;
    }
    pieces.push(rest);
    let mut offset = 0;
    let last = pieces.len() - 1;
    let whole = pieces.into_iter().enumerate().map(|(n, piece)| {
        let fragment = fragment(&packet, id, offset, n < last, piece);
        offset += piece.len();
        fragment
    });
    whole.collect()
}

fn fragment(packet: &Packet, id: u32, offset: usize, more: bool, piece: &[u8]) -> Vec<u8> {
    let headers = &packet.bytes()[..ETHERNET + packet.ip_header_len()];
    let place = u16::try_from(offset).expect("an offset in a packet");
    if packet.is_ipv4() {
        let mut fragment = [headers, piece].concat();
        let total = u16::try_from(fragment.len() - ETHERNET).expect("a packet's length");
        fragment[ETHERNET + 2..ETHERNET + 4].copy_from_slice(&total.to_be_bytes());
        fragment[ETHERNET + 4..ETHERNET + 6].copy_from_slice(&id.to_be_bytes()[2..]);
        let place = (place / 8) | if more { 0x2000 } else { 0 };
        fragment[ETHERNET + 6..ETHERNET + 8].copy_from_slice(&place.to_be_bytes());
        return closed(&fragment);
    }
    assert_eq!(headers.len(), ETHERNET + IPV6_HEADER, "fragments of packets without extension headers only");
    let mut fragment = [headers, &fragment_header(place, more, id), piece].concat();
    fragment[headers.len()] = packet.protocol();
    fragment[ETHERNET + 6] = FRAGMENT;
    let length = u16::try_from(fragment.len() - headers.len()).expect("a packet's length");
    fragment[ETHERNET + 4..ETHERNET + 6].copy_from_slice(&length.to_be_bytes());
    fragment
}

/// Its next header is still to be written.
fn fragment_header(offset: u16, more: bool, id: u32) -> Vec<u8> {
    let mut header = vec![0, 0];
    header.extend((offset | u16::from(more)).to_be_bytes());
    header.extend(id.to_be_bytes());
    header
}

fn ip(frame: &[u8]) -> Packet {
    let packet = Packet::from_ethernet(frame).expect("only IP packets can be reshaped");
    assert!(packet.vlans().is_empty(), "tags come last");
    packet
}

/// With the header checksum computed anew.
fn closed(frame: &[u8]) -> Vec<u8> {
    let edit = Edit::of(frame);
    let ttl = frame[ETHERNET + 8];
    edit.ttl(ttl).into_bytes()
}
