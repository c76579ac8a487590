//! Walk 1 of the design between real sockets: pods of one node, and what they may not do. The same walk as packets is
//! in `fixtures_pod_to_pod.rs`.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use caracal_harness::Frame;
use caracal_integration::Cluster;
use caracal_lab::{Packet, Pod, Site, traffic::Ping};
use serde_json::Value;

/// Flows between two addresses, as `caracalctl` shows them.
fn flows(cluster: &Cluster, from: IpAddr, to: IpAddr) -> Vec<Value> {
    let Value::Array(all) = cluster.ctl("n1", "flows").unwrap() else { panic!("flows are a list") };
    let (from, to) = (from.to_string(), to.to_string());
    all.into_iter().filter(|flow| flow["source"] == *from && flow["destination"] == *to).collect()
}

fn packets(flows: &[Value]) -> u64 {
    flows.iter().map(|flow| flow["packets"].as_u64().unwrap()).sum()
}

/// Both families' addresses of a pod.
pub(crate) fn addresses(pod: &Pod) -> [IpAddr; 2] {
    [pod.ip4().into(), pod.ip6().into()]
}

#[test]
fn first_and_established_packets_between_pods_of_a_node() {
    let cluster = Cluster::start("pods", 1).unwrap();
    let [a, b] = ["a", "b"].map(|name| cluster.node("n1").pod(name).unwrap());
    let _server = b.serve(&["tcp/80", "udp/53"]).unwrap();
    for (own, other) in addresses(&a).into_iter().zip(addresses(&b)) {
        let before = cluster.counted("n1", "new_flow").unwrap();
        let payload = vec![7; 100_000];
        let reply = a.tcp_roundtrip(SocketAddr::new(other, 80), &payload).unwrap();
        assert_eq!((reply.peer.ip(), reply.bytes == payload), (own, true));
        // One first packet for the whole connection; everything else found the flow.
        assert_eq!(cluster.counted("n1", "new_flow").unwrap() - before, 1);
        let (forth, back) = (flows(&cluster, own, other), flows(&cluster, other, own));
        assert_eq!((forth.len(), back.len()), (1, 1), "{forth:?} {back:?}");
        assert!(packets(&forth) >= 4 && packets(&back) >= 4, "{forth:?} {back:?}");
        assert_eq!(forth[0]["via"], "peer");

        let reply = a.udp_roundtrip(SocketAddr::new(other, 53), b"question").unwrap();
        assert_eq!((reply.peer.ip(), reply.bytes.as_slice()), (own, &b"question"[..]));
        a.ping(other).unwrap();
        b.ping(own).unwrap();
    }
    // None of it went through the host's stack.
    assert_eq!(cluster.counted("n1", "to_host").unwrap(), 0);
    cluster.end().unwrap();
}

#[test]
fn the_ttl_is_one_less_as_behind_a_router() {
    let cluster = Cluster::start("ttl", 1).unwrap();
    let [a, b] = ["a", "b"].map(|name| cluster.node("n1").pod(name).unwrap());
    for (own, other) in addresses(&a).into_iter().zip(addresses(&b)) {
        let gateway_says = a.ping_with(&Ping::new(other).ttl(1)).unwrap_err();
        let time_exceeded = if other.is_ipv4() { (11, 0) } else { (3, 0) };
        assert_eq!(gateway_says.icmp(), Some(time_exceeded), "{gateway_says}");
        a.ping_with(&Ping::new(other).ttl(2).from(own)).unwrap();
    }
    assert_eq!(cluster.counted("n1", "ttl_expired").unwrap(), 2);
    cluster.end().unwrap();
}

#[test]
fn a_wrong_source_address_is_dropped_and_counted() {
    let cluster = Cluster::start("spoof", 1).unwrap();
    let [a, b] = ["a", "b"].map(|name| cluster.node("n1").pod(name).unwrap());
    let [mac, gateway] = macs(&a);
    for (own, other) in addresses(&a).into_iter().zip(addresses(&b)) {
        let before = cluster.counted("n1", "spoofed_address").unwrap();
        let capture = b.capture("eth0").unwrap();
        let honest = Frame { mac: (mac, gateway), ip: (own, other), ttl: 64 };
        let nobody = if own.is_ipv4() { "198.51.100.7" } else { "2001:db8::7" };
        for _ in 0..3 {
            let forged = honest.source(nobody.parse().unwrap()).udp(4000, 53, b"forged");
            a.send_frame("eth0", &forged).unwrap();
        }
        a.send_frame("eth0", &honest.udp(4000, 53, b"honest")).unwrap();
        capture.wait_for("the honest packet", Duration::from_secs(5), |packet| carries(packet, b"honest")).unwrap();
        assert!(!capture.stop().unwrap().iter().any(|packet| carries(packet, b"forged")), "{own}");
        assert_eq!(cluster.counted("n1", "spoofed_address").unwrap() - before, 3);

        let before = cluster.counted("n1", "spoofed_mac").unwrap();
        a.send_frame("eth0", &honest.source_mac([2, 9, 9, 9, 9, 9]).udp(4001, 53, b"forged")).unwrap();
        assert_eq!(cluster.counted("n1", "spoofed_mac").unwrap() - before, 1);
    }
    cluster.end().unwrap();
}

fn carries(packet: &Packet, payload: &[u8]) -> bool {
    packet.bytes.windows(payload.len()).any(|window| window == payload)
}

/// Own and gateway's MAC address, as the plugin's result lists them.
pub(crate) fn macs(pod: &Pod) -> [[u8; 6]; 2] {
    let interfaces = pod.result()["interfaces"].as_array().unwrap();
    [1, 0].map(|n: usize| {
        let text = interfaces[n]["mac"].as_str().unwrap();
        let bytes: Vec<u8> = text.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        bytes.try_into().unwrap()
    })
}

#[test]
fn an_unknown_destination_is_the_hosts_to_refuse() {
    let cluster = Cluster::start("unknown", 1).unwrap();
    let a = cluster.node("n1").pod("a").unwrap();
    for family in ["-4", "-6"] {
        cluster.node("n1").run("ip", [family, "route", "del", "default"]).unwrap();
    }
    for (stranger, unreachable) in [("198.51.100.7", (3, 0)), ("2001:db8::7", (1, 0))] {
        let before = cluster.counted("n1", "to_host").unwrap();
        let stranger: IpAddr = stranger.parse().unwrap();
        // The node has no route there and says so.
        assert_eq!(a.ping(stranger).unwrap_err().icmp(), Some(unreachable));
        assert!(cluster.counted("n1", "to_host").unwrap() > before);
    }
    cluster.end().unwrap();
}

#[test]
fn the_node_and_its_pods_reach_each_other() {
    let cluster = Cluster::start("host", 1).unwrap();
    let node = cluster.node("n1");
    let a = node.pod("a").unwrap();
    let _server = a.serve(&["tcp/80"]).unwrap();
    for (pod, host) in addresses(&a).into_iter().zip(node.addresses()) {
        node.ping(pod).unwrap();
        a.ping(*host).unwrap();
        node.tcp_roundtrip(SocketAddr::new(pod, 80), b"probe").unwrap();
    }
    cluster.end().unwrap();
}
