//! What a pod may send besides packets to other pods, and what it may not.

use std::net::{IpAddr, Ipv6Addr};

use caracal_abi::Reason;
use caracal_harness::{Action, Frame, Plane, Pod, isolated, shape};
use caracal_integration::pairs;
use etherparse::{ArpHardwareId, ArpOperation, ArpPacket, EtherType, PacketBuilder};

const GRE: u8 = 47;
const ROUTER_ALERT: [u8; 4] = [0x94, 4, 0, 0];

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
    let tagged = shape::vlan(&Frame::new(&from, to.ip).udp(1, 2, &[0; 16]), 7);
    let (host, drop) = (Action::Host, Action::Drop);
    check(
        &from,
        &to,
        vec![
            Row { name: "ARP of its own", packet: own.clone(), action: host, reason: Reason::Neighbour },
            Row { name: "ARP probe", packet: none, action: host, reason: Reason::Neighbour },
            Row { name: "ARP as another pod", packet: foreign, action: drop, reason: Reason::SpoofedAddress },
            Row { name: "LLDP", packet: unknown, action: drop, reason: Reason::UnknownEtherType },
            Row { name: "VLAN", packet: tagged, action: drop, reason: Reason::UnknownEtherType },
            Row { name: "ARP cut short", packet: own[..20].to_vec(), action: drop, reason: Reason::Malformed },
        ],
    );
}

#[test]
fn ipv4_oddities() {
    let (from, to) = pairs(Plane::IFINDEX)[0];
    let whole = Frame::new(&from, to.ip).udp(4000, 53, &[0; 32]);
    let optional = shape::ipv4_options(&whole, &ROUTER_ALERT);
    let [_, fragment] = shape::fragments(&whole, 9, &[16]).try_into().unwrap();
    let gre = Frame::new(&from, to.ip).protocol(GRE, &[0; 8]);
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
            Row { name: "with options", packet: optional, action: redirect, reason: Reason::NewFlow },
            Row { name: "later fragment", packet: fragment, action: drop, reason: Reason::FragmentHeld },
            Row { name: "another protocol", packet: gre, action: redirect, reason: Reason::NewFlow },
        ],
    );
}

#[test]
fn ipv6_neighbours() {
    let (from, to) = pairs(Plane::IFINDEX)[1];
    let (IpAddr::V6(own), IpAddr::V6(pod)) = (from.ip, to.ip) else { panic!("the second pair is IPv6") };
    let [link_local, all_routers, unspecified, global]: [Ipv6Addr; 4] =
        ["fe80::2", "ff02::2", "::", "2001:db8::7"].map(|ip| ip.parse().unwrap());
    let frame = |source: Ipv6Addr, destination: Ipv6Addr| Frame::new(&from, destination.into()).source(source.into());
    let solicitation = |source, destination| frame(source, destination).router_solicitation();
    let advertisement = |source, destination| frame(source, destination).neighbour_advertisement(source);
    let echo = |source, destination| frame(source, destination).echo_request(7, 1, &[]);
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
