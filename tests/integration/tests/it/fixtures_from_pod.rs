//! What a pod may send besides packets to other pods, and what it may not.

use std::net::{IpAddr, Ipv6Addr};

use caracal_abi::Reason;
use caracal_harness::{Action, Frame, Plane, Pod, isolated};
use caracal_integration::pairs;
use etherparse::{
    ArpHardwareId, ArpOperation, ArpPacket, EtherType, Icmpv6Type, IpFragOffset, IpHeaders, IpNumber, Ipv4Header,
    Ipv6Extensions, Ipv6Header, PacketBuilder, VlanId,
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
fn ipv6_neighbours() {
    let (from, to) = pairs(Plane::IFINDEX)[1];
    let (IpAddr::V6(own), IpAddr::V6(pod)) = (from.ip, to.ip) else { panic!("the second pair is IPv6") };
    let [link_local, all_routers, unspecified, global]: [Ipv6Addr; 4] =
        ["fe80::2", "ff02::2", "::", "2001:db8::7"].map(|ip| ip.parse().unwrap());
    let [solicitation, advertisement, echo] = [133, 136, 128]
        .map(|icmp_type| move |source: Ipv6Addr, destination: Ipv6Addr| icmpv6(&from, source, destination, icmp_type));
    let neighbour = |name, packet| Row { name, packet, action: Action::Host, reason: Reason::Neighbour };
    let spoofed = |name, packet| Row { name, packet, action: Action::Drop, reason: Reason::SpoofedAddress };
    check(
        &from,
        &to,
        vec![
            neighbour("router solicitation", solicitation(link_local, all_routers)),
            neighbour("from ::", solicitation(unspecified, all_routers)),
            // Its hop limit must stay 255, so it is the host's to deliver (pods on one bridge).
            neighbour("advertisement to a pod", advertisement(own, pod)),
            neighbour("advertisement to a pod, from link-local", advertisement(link_local, pod)),
            spoofed("advertisement as another pod", advertisement(pod, own)),
            spoofed("link-local to global", echo(link_local, global)),
            spoofed("from :: to global", echo(unspecified, global)),
        ],
    );
}

fn icmpv6(from: &Pod, source: Ipv6Addr, destination: Ipv6Addr, icmp_type: u8) -> Vec<u8> {
    let ip = Ipv6Header {
        source: source.octets(),
        destination: destination.octets(),
        hop_limit: 255,
        next_header: IpNumber::IPV6_ICMP,
        ..Ipv6Header::default()
    };
    let builder = PacketBuilder::ethernet2(from.mac, from.gateway)
        .ip(IpHeaders::Ipv6(ip, Ipv6Extensions::default()))
        .icmpv6(Icmpv6Type::Unknown { type_u8: icmp_type, code_u8: 0, bytes5to8: [0; 4] });
    let mut packet = Vec::new();
    builder.write(&mut packet, &[]).unwrap();
    packet
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
