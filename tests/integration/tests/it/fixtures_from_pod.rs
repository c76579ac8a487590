//! What a pod may send besides packets to other pods, and what it may not.

use caracal_abi::Reason;
use caracal_harness::{Action, Frame, Plane, Pod, isolated};
use caracal_integration::pairs;
use etherparse::{
    ArpHardwareId, ArpOperation, ArpPacket, EtherType, Icmpv6Type, IpFragOffset, IpHeaders, IpNumber, Ipv4Header,
    PacketBuilder, VlanId,
};

/// A row: what is sent, what becomes of it, under which reason it is counted.
struct Row {
    name: &'static str,
    packet: Vec<u8>,
    action: Action,
    reason: Reason,
}

/// Each row meets a data plane of its own with both pods known.
fn check(from: &Pod, to: &Pod, rows: Vec<Row>) {
    for Row { name, packet, action, reason } in rows {
        isolated(|root| {
            let plane = Plane::new(root);
            plane.add(from);
            plane.add(to);
            assert_eq!(plane.from_pod(&packet).action, action, "{name}: {:?}", plane.counted());
            assert_eq!(plane.counted(), [(reason, 1)], "{name}");
        });
    }
}

#[test]
fn link_layer() {
    let (from, to) = pairs(Plane::IFINDEX)[0];
    let [own, foreign, none] = [[10, 0, 0, 1], [10, 0, 0, 2], [0; 4]].map(|sender| arp(&from, sender));
    let mut unknown = own.clone();
    unknown[12..14].copy_from_slice(&[0x88, 0xcc]);
    let (host, drop) = (Action::Host, Action::Drop);
    check(
        &from,
        &to,
        vec![
            Row { name: "ARP of its own", packet: own.clone(), action: host, reason: Reason::Neighbour },
            Row { name: "ARP probe", packet: none, action: host, reason: Reason::Neighbour },
            Row { name: "ARP as another pod", packet: foreign, action: drop, reason: Reason::SpoofedAddress },
            Row { name: "LLDP", packet: unknown, action: drop, reason: Reason::UnknownEtherType },
            Row { name: "VLAN", packet: vlan(&from, &to), action: drop, reason: Reason::UnknownEtherType },
            Row { name: "ARP cut short", packet: own[..20].to_vec(), action: drop, reason: Reason::Malformed },
        ],
    );
}

#[test]
fn ipv4_oddities() {
    let (from, to) = pairs(Plane::IFINDEX)[0];
    let whole = Frame::new(&from, to.ip).udp(4000, 53, &[0; 32]);
    let mut version = whole.clone();
    version[14] = 0x65;
    let mut header_length = whole.clone();
    header_length[14] = 0x44;
    let (redirect, drop) = (Action::Redirect, Action::Drop);
    check(
        &from,
        &to,
        vec![
            Row { name: "version 6 in IPv4", packet: version, action: drop, reason: Reason::Malformed },
            Row { name: "header length 16", packet: header_length, action: drop, reason: Reason::Malformed },
            Row {
                name: "cut in the UDP header",
                packet: whole[..38].to_vec(),
                action: drop,
                reason: Reason::Malformed,
            },
            Row { name: "with options", packet: with_options(&from, &to), action: redirect, reason: Reason::NewFlow },
            Row { name: "later fragment", packet: fragment(&from, &to), action: redirect, reason: Reason::Stateless },
            Row { name: "another protocol", packet: raw(&from, &to, 47), action: redirect, reason: Reason::NewFlow },
        ],
    );
}

#[test]
fn ipv6_link_local_life() {
    let (from, to) = pairs(Plane::IFINDEX)[1];
    let [link_local, all_routers, unspecified] = ["fe80::2", "ff02::2", "::"].map(|ip| ip.parse().unwrap());
    let solicit = |source, destination| {
        let ip = etherparse::Ipv6Header {
            source: std::net::Ipv6Addr::octets(&source),
            destination: std::net::Ipv6Addr::octets(&destination),
            hop_limit: 255,
            next_header: IpNumber::IPV6_ICMP,
            ..etherparse::Ipv6Header::default()
        };
        let builder = PacketBuilder::ethernet2(from.mac, from.gateway)
            .ip(IpHeaders::Ipv6(ip, etherparse::Ipv6Extensions::default()))
            .icmpv6(Icmpv6Type::Unknown { type_u8: 133, code_u8: 0, bytes5to8: [0; 4] });
        let mut packet = Vec::new();
        builder.write(&mut packet, &[]).unwrap();
        packet
    };
    let global = "2001:db8::7".parse().unwrap();
    let (host, drop) = (Action::Host, Action::Drop);
    check(
        &from,
        &to,
        vec![
            Row {
                name: "router solicitation",
                packet: solicit(link_local, all_routers),
                action: host,
                reason: Reason::Neighbour,
            },
            Row { name: "from ::", packet: solicit(unspecified, all_routers), action: host, reason: Reason::Neighbour },
            Row {
                name: "link-local to global",
                packet: solicit(link_local, global),
                action: drop,
                reason: Reason::SpoofedAddress,
            },
            Row {
                name: "from :: to global",
                packet: solicit(unspecified, global),
                action: drop,
                reason: Reason::SpoofedAddress,
            },
        ],
    );
}

fn arp(from: &Pod, sender: [u8; 4]) -> Vec<u8> {
    let arp = ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        ArpOperation::REQUEST,
        &from.mac,
        &sender,
        &[0; 6],
        &[169, 254, 1, 1],
    );
    let mut packet = Vec::new();
    PacketBuilder::ethernet2(from.mac, [0xff; 6]).arp(arp.unwrap()).write(&mut packet).unwrap();
    packet
}

fn vlan(from: &Pod, to: &Pod) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(from.mac, to.mac)
        .single_vlan(VlanId::try_new(7).unwrap())
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .udp(1, 2);
    let mut packet = Vec::new();
    builder.write(&mut packet, &[0; 16]).unwrap();
    packet
}

fn ipv4(protocol: u8) -> Ipv4Header {
    let protocol = IpNumber(protocol);
    Ipv4Header::new(8, 64, protocol, [10, 0, 0, 1], [10, 0, 0, 2]).unwrap()
}

fn written(from: &Pod, header: &Ipv4Header) -> Vec<u8> {
    let mut packet = [from.gateway, from.mac].concat();
    packet.extend([0x08, 0x00]);
    header.write(&mut packet).unwrap();
    packet.extend([0, 1, 0, 2, 0, 8, 0, 0]);
    packet
}

fn with_options(from: &Pod, _: &Pod) -> Vec<u8> {
    let mut header = ipv4(17);
    // Router alert.
    header.options = [0x94, 4, 0, 0].into();
    header.total_len += 4;
    written(from, &header)
}

fn fragment(from: &Pod, _: &Pod) -> Vec<u8> {
    let mut header = ipv4(17);
    header.fragment_offset = IpFragOffset::try_new(185).unwrap();
    written(from, &header)
}

fn raw(from: &Pod, _: &Pod, protocol: u8) -> Vec<u8> {
    written(from, &ipv4(protocol))
}
