//! Interfaces and sockets do with large and many packets what the tests need: offloads, segments, MTUs.

use std::{io, net::SocketAddr, time::Duration};

use caracal_lab::{LanKind, Packet, Site, require_root, wait_for, wait_until};

use crate::support::two_nodes;

const HEADERS: usize = 14 + 20 + 8;
const PATIENCE: Duration = Duration::from_secs(5);

/// Lengths of the UDP payloads in what was captured.
fn payloads(packets: &[Packet]) -> Vec<usize> {
    let udp = packets.iter().filter(|packet| packet.outgoing && packet.bytes.get(23) == Some(&17));
    udp.map(|packet| packet.bytes.len() - HEADERS).collect()
}

#[test]
fn segments_are_cut_by_the_kernel_when_the_interface_does_not() {
    if !require_root() {
        return;
    }
    let lab = two_nodes("segments").start().unwrap();
    let (n1, n2) = (lab.node("n1"), lab.node("n2"));
    let receiver = n2.datagrams_at(4000).unwrap();
    let sender = n1.datagrams((n2.ip4(), 4000)).unwrap();
    let payload: Vec<u8> = (0..=u8::MAX).cycle().take(4500).collect();
    for (offloads, expected) in [(true, vec![4500]), (false, vec![1000, 1000, 1000, 1000, 500])] {
        n1.set_offloads("eth0", offloads).unwrap();
        assert_eq!(n1.offload("eth0", "generic-segmentation-offload").unwrap(), offloads);
        assert_eq!(n1.offload("eth0", "tx-checksumming").unwrap(), offloads);
        let capture = n1.capture("eth0").unwrap();
        sender.send_segments(&payload, 1000).unwrap();
        let mut whole = Vec::new();
        while whole.len() < payload.len() {
            let part = receiver.receive().unwrap();
            assert!(part.bytes.len() <= 1000 && part.segment.is_none(), "{}", part.bytes.len());
            whole.extend(part.bytes);
        }
        assert_eq!((whole == payload, payloads(&capture.stop().unwrap())), (true, expected));
    }
    let error = format!("{:#}", n1.offload("eth0", "teleportation").unwrap_err());
    assert!(error.contains("teleportation"), "{error}");
}

#[test]
fn segments_are_received_as_one_by_who_asks_for_that() {
    if !require_root() {
        return;
    }
    let lab = two_nodes("joined").start().unwrap();
    let (n1, n2) = (lab.node("n1"), lab.node("n2"));
    for to in n2.addresses() {
        let receiver = n2.datagrams_at(4000).unwrap();
        receiver.join_segments().unwrap();
        let sender = n1.datagrams((*to, 4000)).unwrap();
        sender.send_segments(&[7; 4500], 1000).unwrap();
        let joined = receiver.receive().unwrap();
        let own = n1.addresses().iter().find(|ip| ip.is_ipv4() == to.is_ipv4()).unwrap();
        assert_eq!((joined.bytes.len(), joined.segment), (4500, Some(1000)));
        assert_eq!(joined.from, SocketAddr::new(*own, sender.port().unwrap()));
        sender.send(b"alone").unwrap();
        assert_eq!(receiver.receive().unwrap().segment, None);
    }
}

#[test]
fn sockets_hear_what_routers_say_about_the_path() {
    if !require_root() {
        return;
    }
    let lab = two_nodes("path").lan(LanKind::Routed).start().unwrap();
    let (n1, n2) = (lab.node("n1"), lab.node("n2"));
    let _server = n2.serve(&["udp/53"]).unwrap();
    lab.lan().set_mtu("n2", 1400).unwrap();
    for to in n2.addresses() {
        let socket = n1.datagrams((*to, 53)).unwrap();
        socket.never_fragment().unwrap();
        assert_eq!(socket.path_mtu().unwrap(), 1500);
        // Lost, and the router says why.
        socket.send(&[7; 1400]).unwrap();
        wait_until("the router's word", PATIENCE, || socket.path_mtu().is_ok_and(|mtu| mtu == 1400)).unwrap();
        let error = socket.take_error().unwrap().or_else(|| socket.send(&[7; 1400]).err()).unwrap();
        assert_eq!(error.raw_os_error(), Some(nix::errno::Errno::EMSGSIZE as i32), "{error}");
        assert_eq!(socket.echo(&[7; 1000]).unwrap().port(), socket.port().unwrap());
    }
}

#[test]
fn a_connected_socket_hears_that_nobody_listens() {
    if !require_root() {
        return;
    }
    let lab = two_nodes("nobody").start().unwrap();
    let (n1, n2) = (lab.node("n1"), lab.node("n2"));
    for to in n2.addresses() {
        let socket = n1.datagrams((*to, 9)).unwrap();
        socket.send(b"x").unwrap();
        let error = wait_for("ICMP", PATIENCE, || socket.take_error().ok().flatten().ok_or("nothing")).unwrap();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}

#[test]
fn jumbo_frames_pass_where_all_links_take_them() {
    if !require_root() {
        return;
    }
    let lab = two_nodes("jumbo").with(|spec| spec.mtu = 9000).start().unwrap();
    let (n1, n2) = (lab.node("n1"), lab.node("n2"));
    let _server = n2.serve(&["udp/53"]).unwrap();
    for (to, largest) in [(SocketAddr::from((n2.ip4(), 53)), 8972), ((n2.ip6(), 53).into(), 8952)] {
        let socket = n1.datagrams(to).unwrap();
        socket.never_fragment().unwrap();
        socket.echo(&vec![7; 8000]).unwrap();
        socket.send(&vec![7; largest]).unwrap();
        assert!(socket.send(&vec![7; largest + 1]).is_err(), "larger than the link takes");
    }
}
