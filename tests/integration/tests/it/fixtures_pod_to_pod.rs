//! Walk 1 of the design, pod → pod on one node, as packets through the real program: what goes in, what comes out,
//! what the maps hold afterwards. Each for IPv4 and IPv6.

use std::net::IpAddr;

use caracal_abi::{Endpoint, Flow, Reason, Via};
use caracal_datapath::{Features, Loader};
use caracal_harness::{Action, Frame, Plane, Pod, isolated};
use caracal_integration::{pairs, stranger};
use etherparse::{NetSlice, SlicedPacket};

/// Runs a body once for each family, with both pods known.
fn for_each_family(body: impl Fn(&Plane, &Pod, &Pod) + Sync) {
    for (from, to) in pairs(Plane::IFINDEX) {
        isolated(|root| {
            let plane = Plane::new(root);
            plane.add(&from);
            plane.add(&to);
            body(&plane, &from, &to);
        });
    }
}

/// The flow from one address to another, if it was stored.
fn flow(plane: &Plane, from: IpAddr, to: IpAddr) -> Option<Flow<IpAddr>> {
    plane.flows().into_iter().find(|(key, _)| (key.src, key.dst) == (from, to)).map(|(_, flow)| flow)
}

fn flow_count(plane: &Plane) -> usize {
    plane.flows().len()
}

#[test]
fn first_packet_is_redirected_and_both_directions_are_stored() {
    for_each_family(|plane, from, to| {
        let sent = Frame::new(from, to.ip).udp(4000, 53, b"question");
        let outcome = plane.from_pod(&sent);
        assert_eq!(outcome.action, Action::Redirect, "{:?}", plane.counted());
        assert_eq!(outcome.packet[..6], to.mac);
        assert_eq!(outcome.packet[6..12], to.gateway);

        let forth = flow(plane, from.ip, to.ip).expect("the flow of the packet");
        assert_eq!((forth.in_ifindex, forth.out_ifindex), (from.ifindex, to.ifindex));
        assert_eq!((forth.packets, forth.bytes), (1, sent.len() as u64));
        assert_eq!(forth.via(), Some(Via::Peer));
        let back = flow(plane, to.ip, from.ip).expect("the flow of the reply");
        assert_eq!((back.in_ifindex, back.out_ifindex), (to.ifindex, from.ifindex));
        assert_eq!((back.dst_mac.0, back.src_mac.0), (from.mac, from.gateway));
        assert_eq!((back.packets, back.bytes), (0, 0));
        assert_eq!(plane.counted(), [(Reason::NewFlow, 1)]);
    });
}

#[test]
fn a_forwarded_packet_is_one_hop_older_and_otherwise_the_same() {
    for_each_family(|plane, from, to| {
        let sent = Frame::new(from, to.ip).ttl(64).udp(4000, 53, b"question");
        let received = plane.from_pod(&sent).packet;
        let expected =
            Frame { mac: (to.gateway, to.mac), ..Frame::new(from, to.ip) }.ttl(63).udp(4000, 53, b"question");
        // The checksums too: etherparse computed the expected ones anew.
        assert_eq!(received, expected);
        let parsed = SlicedPacket::from_ethernet(&received).unwrap();
        if let Some(NetSlice::Ipv4(ip)) = parsed.net {
            assert_eq!(ip.header().header_checksum(), ip.header().to_header().calc_header_checksum());
        }
    });
}

#[test]
fn every_lifetime_keeps_the_header_checksum_right() {
    let (from, to) = pairs(Plane::IFINDEX)[0];
    isolated(|root| {
        let plane = Plane::new(root);
        plane.add(&from);
        plane.add(&to);
        for ttl in 2..=255 {
            let received = plane.from_pod(&Frame::new(&from, to.ip).ttl(ttl).udp(4000, 53, &[])).packet;
            let expected = Frame { mac: (to.gateway, to.mac), ..Frame::new(&from, to.ip) }.ttl(ttl - 1);
            assert_eq!(received, expected.udp(4000, 53, &[]), "TTL {ttl}");
        }
    });
}

#[test]
fn established_packets_are_not_judged_again() {
    for_each_family(|plane, from, to| {
        let sent = Frame::new(from, to.ip).syn(4000, 80);
        for _ in 0..5 {
            assert_eq!(plane.from_pod(&sent).action, Action::Redirect);
        }
        let forth = flow(plane, from.ip, to.ip).unwrap();
        assert_eq!((forth.packets, forth.bytes), (5, 5 * sent.len() as u64));
        assert_eq!(plane.count(Reason::NewFlow).packets, 1);

        // Proof that the entry alone decides: the endpoint is gone, the flow goes on.
        let elsewhere = Pod { ifindex: 4712, ..*to };
        plane.add(&elsewhere);
        assert_eq!(plane.from_pod(&sent).action, Action::Redirect);
        assert_eq!(flow(plane, from.ip, to.ip).unwrap().out_ifindex, to.ifindex);
    });
}

#[test]
fn a_source_address_of_nobody_is_dropped_and_counted() {
    for_each_family(|plane, from, to| {
        let sent = Frame::new(from, to.ip).source(stranger(from)).udp(4000, 53, &[]);
        assert_eq!(plane.from_pod(&sent).action, Action::Drop);
        assert_eq!(plane.counted(), [(Reason::SpoofedAddress, 1)]);
        assert_eq!(flow_count(plane), 0);
    });
}

#[test]
fn the_address_of_another_pod_is_dropped_and_counted() {
    for_each_family(|plane, from, to| {
        let sent = Frame::new(from, to.ip).source(to.ip).udp(4000, 53, &[]);
        assert_eq!(plane.from_pod(&sent).action, Action::Drop);
        assert_eq!(plane.counted(), [(Reason::SpoofedAddress, 1)]);
    });
}

#[test]
fn the_established_flow_of_another_pod_is_no_way_in() {
    for_each_family(|plane, from, to| {
        // Stored by `from`; then the address moves to another interface, so that `from` is the forger.
        let sent = Frame::new(from, to.ip).udp(4000, 53, &[]);
        assert_eq!(plane.from_pod(&sent).action, Action::Redirect);
        let owner = Pod { ifindex: 4712, ..*from };
        plane.add(&owner);
        give_to(plane, owner.ifindex);
        assert_eq!(plane.from_pod(&sent).action, Action::Drop);
        assert_eq!(plane.count(Reason::SpoofedAddress).packets, 1);
    });
}

/// Makes every flow that is stored one of another interface's.
fn give_to(plane: &Plane, in_ifindex: u32) {
    let (mut v4, mut v6) = (plane.pinned().flows4().unwrap(), plane.pinned().flows6().unwrap());
    for (key, flow) in v4.entries().unwrap() {
        v4.new.set(&key, &Flow { in_ifindex, ..flow }).unwrap();
    }
    for (key, flow) in v6.entries().unwrap() {
        v6.new.set(&key, &Flow { in_ifindex, ..flow }).unwrap();
    }
}

#[test]
fn the_mac_address_of_another_pod_is_dropped_and_counted() {
    for_each_family(|plane, from, to| {
        let sent = Frame::new(from, to.ip).source_mac(to.mac).udp(4000, 53, &[]);
        assert_eq!(plane.from_pod(&sent).action, Action::Drop);
        assert_eq!(plane.counted(), [(Reason::SpoofedMac, 1)]);
    });
}

#[test]
fn an_unknown_destination_is_left_to_the_host_untouched() {
    for_each_family(|plane, from, _| {
        let sent = Frame::new(from, stranger(from)).udp(4000, 53, &[]);
        let outcome = plane.from_pod(&sent);
        assert_eq!((outcome.action, outcome.packet), (Action::Host, sent));
        assert_eq!(plane.counted(), [(Reason::ToHost, 1)]);
        assert_eq!(flow_count(plane), 0);
    });
}

#[test]
fn a_used_up_lifetime_is_left_to_the_host_untouched() {
    for_each_family(|plane, from, to| {
        for established in [false, true] {
            if established {
                assert_eq!(plane.from_pod(&Frame::new(from, to.ip).udp(4000, 53, &[])).action, Action::Redirect);
            }
            let sent = Frame::new(from, to.ip).ttl(1).udp(4000, 53, &[]);
            let outcome = plane.from_pod(&sent);
            assert_eq!((outcome.action, outcome.packet), (Action::Host, sent), "established: {established}");
        }
        assert_eq!(plane.count(Reason::TtlExpired).packets, 2);
    });
}

#[test]
fn a_pod_with_a_queue_is_reached_through_it() {
    for_each_family(|plane, from, to| {
        let endpoint = Endpoint { flags: Endpoint::QUEUED, ..to.endpoint() };
        plane.pinned().set_endpoint(to.ip, &endpoint).unwrap();
        assert_eq!(plane.from_pod(&Frame::new(from, to.ip).udp(4000, 53, &[])).action, Action::Redirect);
        assert_eq!(flow(plane, from.ip, to.ip).unwrap().via(), Some(Via::Egress));
        assert_eq!(flow(plane, to.ip, from.ip).unwrap().via(), Some(Via::Peer));
    });
}

#[test]
fn a_kernel_without_redirect_peer_gets_programs_that_do_not_call_it() {
    for (from, to) in pairs(Plane::IFINDEX) {
        isolated(|root| {
            let features = Features::probe().without("bpf_redirect_peer");
            let loader = Loader { host_nat: false, ..Loader::new(features) };
            let plane = Plane::with(root, &loader);
            plane.add(&from);
            plane.add(&to);
            assert_eq!(plane.from_pod(&Frame::new(&from, to.ip).udp(4000, 53, &[])).action, Action::Redirect);
            assert_eq!(flow(&plane, from.ip, to.ip).unwrap().via(), Some(Via::Egress));
        });
    }
}
