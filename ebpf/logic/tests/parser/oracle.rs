//! A second opinion: etherparse's reading of a frame that the parser has accepted.

use std::net::IpAddr;

use caracal_logic::{Fragment, Kind, Link};
use etherparse::{
    Icmpv4Slice, Icmpv6Slice, IpAuthHeader, IpNumber, Ipv6FragmentHeader, Ipv6RawExtHeader, LaxIpv4Slice, LaxIpv6Slice,
    LaxNetSlice, LaxSlicedPacket, LinkSlice, TcpHeaderSlice, UdpHeaderSlice, ip_number,
};

use crate::read::Read;

/// Panics where the two differ.
pub fn agrees(frame: &[u8], link: &Link, read: &Read) {
    let sliced = LaxSlicedPacket::from_ethernet(frame).expect("the parser has found an Ethernet header");
    let Some(LinkSlice::Ethernet2(ethernet)) = &sliced.link else { panic!("no Ethernet in {sliced:?}") };
    assert_eq!((ethernet.source(), ethernet.destination()), (link.src.0, link.dst.0));
    assert_eq!(sliced.vlan_ids().first().map(|id| id.value()), link.vlan);
    match &sliced.net {
        Some(LaxNetSlice::Ipv4(ip)) => agrees_v4(frame, ip, read),
        Some(LaxNetSlice::Ipv6(ip)) => agrees_v6(frame, ip, read),
        other => panic!("{read:?} is for etherparse {other:?}"),
    }
}

fn agrees_v4(frame: &[u8], ip: &LaxIpv4Slice<'_>, read: &Read) {
    let header = ip.header();
    assert_eq!(read.src, IpAddr::from(header.source()));
    assert_eq!(read.dst, IpAddr::from(header.destination()));
    assert_eq!(read.protocol, header.protocol().0);
    assert_eq!(read.ttl, header.ttl());
    assert_eq!(read.l3_len, u32::from(header.total_len()));
    assert_eq!(read.l3, offset_in(frame, header.slice()));
    assert_eq!(read.l4, read.l3 + header.slice().len());
    let fragment = Fragment {
        id: u32::from(header.identification()),
        offset: header.fragments_offset().byte_offset(),
        more: header.more_fragments(),
    };
    assert_eq!(read.fragment, fragment);
    // Etherparse looks behind an authentication header here, where for the kernel's stack it is the transport.
    if header.protocol() != ip_number::AUTH {
        agrees_transport(ip.payload().payload, ip_number::ICMP, read);
    }
}

fn agrees_v6(frame: &[u8], ip: &LaxIpv6Slice<'_>, read: &Read) {
    let header = ip.header();
    assert_eq!(read.src, IpAddr::from(header.source()));
    assert_eq!(read.dst, IpAddr::from(header.destination()));
    assert_eq!(read.ttl, header.hop_limit());
    let payload_len = u32::from(header.payload_length());
    assert_eq!(read.l3_len, if payload_len == 0 { 0 } else { payload_len + 40 });
    assert_eq!(read.l3, offset_in(frame, header.slice()));
    if let Some(header) = fragment_header(ip) {
        let (id, offset) = (header.identification, header.fragment_offset.byte_offset());
        assert_eq!(read.fragment, Fragment { id, offset, more: header.more_fragments });
        if offset != 0 {
            // Etherparse goes on to read the data of later fragments as headers.
            assert_eq!(read.kind, Kind::Fragment);
            return;
        }
    }
    let payload = ip.payload();
    // It also stops at extension headers it does not know, and at some in places the RFC does not want them in.
    if offset_in(frame, payload.payload) == read.l4 {
        assert_eq!(read.protocol, payload.ip_number.0);
        agrees_transport(payload.payload, ip_number::IPV6_ICMP, read);
    } else {
        let stops_at = [ip_number::IPV6_HEADER_HOP_BY_HOP, ip_number::AUTH, MOBILITY, HIP, SHIM6];
        assert!(stops_at.contains(&payload.ip_number), "{read:?} is for etherparse {payload:?}");
    }
}

/// Etherparse's own iterator does not notice where a chain is cut.
fn fragment_header(ip: &LaxIpv6Slice<'_>) -> Option<Ipv6FragmentHeader> {
    let (mut next, mut rest) = (ip.header().next_header(), ip.extensions().slice());
    loop {
        (next, rest) = match next {
            ip_number::IPV6_FRAGMENTATION_HEADER => return Some(Ipv6FragmentHeader::from_slice(rest).ok()?.0),
            ip_number::AUTH => IpAuthHeader::from_slice(rest).map(|(header, rest)| (header.next_header, rest)).ok()?,
            ip_number::IPV6_HEADER_HOP_BY_HOP | ip_number::IPV6_ROUTE_HEADER | ip_number::IPV6_DESTINATION_OPTIONS => {
                Ipv6RawExtHeader::from_slice(rest).map(|(header, rest)| (header.next_header, rest)).ok()?
            }
            _ => return None,
        };
    }
}

const MOBILITY: IpNumber = IpNumber(135);
const HIP: IpNumber = IpNumber(139);
const SHIM6: IpNumber = IpNumber(140);

fn agrees_transport(payload: &[u8], icmp: IpNumber, read: &Read) {
    let ports = (read.sport, read.dport);
    let protocol = IpNumber(read.protocol);
    if read.fragment.offset != 0 {
        assert_eq!((read.kind, ports), (Kind::Fragment, (0, 0)));
    } else if protocol == ip_number::TCP {
        let tcp = TcpHeaderSlice::from_slice(payload).ok();
        // The data offset may point past what was captured: then there are only the fixed fields to compare.
        let fixed = payload.first_chunk::<20>().expect("room for a TCP header");
        assert_eq!((read.kind, ports, read.control), (Kind::Tcp, ports_at(payload), fixed[13]));
        if let Some(tcp) = tcp {
            assert_eq!(ports, (tcp.source_port(), tcp.destination_port()));
            assert_eq!((read.control & 2 != 0, read.control & 16 != 0), (tcp.syn(), tcp.ack()));
        }
    } else if protocol == ip_number::UDP {
        let udp = UdpHeaderSlice::from_slice(payload).expect("room for a UDP header");
        assert_eq!((read.kind, ports), (Kind::Udp, (udp.source_port(), udp.destination_port())));
    } else if protocol == ip_number::SCTP {
        assert_eq!((read.kind, ports, read.control), (Kind::Sctp, ports_at(payload), sctp_control(payload.get(12..))));
    } else if protocol == icmp {
        agrees_icmp(payload, read);
    } else {
        assert_eq!((read.kind, ports), (Kind::Other, (0, 0)));
    }
    assert!(matches!(read.kind, Kind::Tcp | Kind::Sctp) || read.control == 0);
}

/// The flags of TCP that mean what an SCTP packet with these chunks does, by the names of RFC 9260.
pub fn sctp_control(chunks: Option<&[u8]>) -> u8 {
    let (fin, syn, rst, ack) = (1, 2, 4, 16);
    match chunks.and_then(|chunks| chunks.first_chunk::<4>()).map(|chunk| chunk[0]) {
        None => 0,
        Some(1) => syn,
        Some(2) => syn | ack,
        Some(6) => rst,
        Some(7 | 8 | 14) => fin | ack,
        Some(_) => ack,
    }
}

fn agrees_icmp(payload: &[u8], read: &Read) {
    let (kind, id) = if IpNumber(read.protocol) == ip_number::ICMP {
        // An exact slice: etherparse wants timestamp messages whole.
        let icmp = Icmpv4Slice::from_slice(payload).ok();
        let number = icmp.as_ref().map_or(payload[0], Icmpv4Slice::type_u8);
        (icmp_kind(number, &[0, 8], &[3, 11, 12], &[]), [payload[4], payload[5]])
    } else {
        let icmp = Icmpv6Slice::from_slice(payload).expect("room for an ICMPv6 header");
        let [high, low, ..] = icmp.bytes5to8();
        (icmp_kind(icmp.type_u8(), &[128, 129], &[1, 2, 3, 4], &[133, 134, 135, 136, 137]), [high, low])
    };
    let id = u16::from_be_bytes(id);
    let ports = match (kind, payload[0]) {
        (Kind::Echo, 8 | 128) => (id, 0),
        (Kind::Echo, _) => (0, id),
        _ => (0, 0),
    };
    assert_eq!((read.kind, read.sport, read.dport), (kind, ports.0, ports.1));
}

fn icmp_kind(number: u8, echo: &[u8], error: &[u8], neighbour: &[u8]) -> Kind {
    [(echo, Kind::Echo), (error, Kind::IcmpError), (neighbour, Kind::Neighbour)]
        .into_iter()
        .find_map(|(numbers, kind)| numbers.contains(&number).then_some(kind))
        .unwrap_or(Kind::Icmp)
}

fn ports_at(payload: &[u8]) -> (u16, u16) {
    let [a, b, c, d] = *payload.first_chunk().expect("room for ports");
    (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
}

fn offset_in(frame: &[u8], part: &[u8]) -> usize {
    part.as_ptr() as usize - frame.as_ptr() as usize
}
