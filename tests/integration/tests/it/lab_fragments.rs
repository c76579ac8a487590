//! Walk 9 of the design between real sockets: datagrams that no link takes in one piece. A receiver takes them only if every
//! fragment comes and the checksum over all of them is right. The same walk as packets is in `fixtures_fragments.rs`.

use std::net::SocketAddr;

use caracal_harness::{Frame, shape};
use caracal_integration::{Cluster, NftCounters};
use caracal_lab::{
    Pod, PodOptions, Site,
    traffic::{Datagrams, Ping, Request},
};
use serde_json::json;

use crate::{
    lab_pod_to_pod::{addresses, macs},
    lab_walks::mac,
};

const HOST_PORT: u16 = 8053;
const PORT: u16 = 53;

/// A node that decides everything by itself.
fn cluster(name: &str, nodes: usize) -> Cluster {
    Cluster::builder(name).nodes(nodes).client("c").agent_args(["--host-nat=false"]).start().unwrap()
}

fn server(cluster: &Cluster, name: &str) -> Pod {
    let mut options = PodOptions::default();
    let mappings = json!([{ "hostPort": HOST_PORT, "containerPort": PORT, "protocol": "udp" }]);
    options.capabilities.insert("portMappings".to_owned(), mappings);
    cluster.node("n1").pod_with(name, &options).unwrap()
}

fn bytes(len: usize) -> Vec<u8> {
    (0..=250).cycle().take(len).collect()
}

/// Large datagrams there and back.
#[track_caller]
fn large_datagrams(from: &impl Site, to: SocketAddr) {
    for len in [10_000, 30_000] {
        let payload = bytes(len);
        for request in [Request::udp(to), Request::udp(to).unconnected()] {
            let reply = from.roundtrip(&request, &payload).unwrap_or_else(|e| panic!("{len} bytes: {e}"));
            assert!(reply.bytes == payload, "{len} bytes from {} to {to} came back as others", from.label());
        }
    }
}

#[test]
fn large_datagrams_and_pings_between_pods_of_a_node() {
    for host_nat in [false, true] {
        let name = if host_nat { "frag-beside" } else { "frag-pods" };
        let cluster = Cluster::builder(name).agent_args([format!("--host-nat={host_nat}")]).start().unwrap();
        let [a, b] = ["a", "b"].map(|name| cluster.node("n1").pod(name).unwrap());
        let _server = b.serve(&["udp/53"]).unwrap();
        for other in addresses(&b) {
            large_datagrams(&a, SocketAddr::new(other, PORT));
            for size in [5000, 20_000] {
                a.ping_with(&Ping::new(other).size(size)).unwrap();
            }
        }
        assert_eq!(cluster.counted("n1", "fragment_refused").unwrap(), 0);
        cluster.end().unwrap();
    }
}

#[test]
fn large_datagrams_to_a_port_of_the_node() {
    let cluster = cluster("frag-port", 2);
    let server = server(&cluster, "server");
    let _serving = server.serve(&["udp/53"]).unwrap();
    let [near, far] = ["n1", "n2"].map(|node| cluster.node(node).pod("a").unwrap());
    for to in cluster.node("n1").addresses() {
        let to = SocketAddr::new(*to, HOST_PORT);
        large_datagrams(cluster.node("n2"), to);
        large_datagrams(cluster.client("c"), to);
        large_datagrams(&near, to);
        large_datagrams(&far, to);
        large_datagrams(&server, to);
    }
    assert_eq!(cluster.counted("n1", "fragment_refused").unwrap(), 0);
    cluster.end().unwrap();
}

/// Every order of four, in which the first is anywhere.
fn orders() -> Vec<[usize; 4]> {
    let mut orders = Vec::new();
    for code in 0..256_usize {
        let order = [code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6];
        if (0..4).all(|n| order.contains(&n)) {
            orders.push(order);
        }
    }
    assert_eq!(orders.len(), 24);
    orders
}

/// Sends datagrams in fragments, in every order, and with one of them twice; all must arrive as they were.
#[track_caller]
fn in_every_order(from: &impl Site, frame: Frame, [sport, dport]: [u16; 2], receiver: &Datagrams) {
    for (order, id) in orders().into_iter().zip(1..) {
        let payload: Vec<u8> = bytes(4000 + order[0]).into_iter().rev().collect();
        let fragments = shape::fragments(&frame.udp(sport, dport, &payload), id, &[1000, 1200, 800]);
        let twice = [order[0], order[1], order[1], order[2], order[3]];
        from.send_frames("eth0", twice.map(|n| &fragments[n])).unwrap();
        let arrived = receiver.receive().unwrap_or_else(|e| panic!("{:?} in order {order:?}: {e}", frame.ip));
        assert!(arrived.bytes == payload, "{:?} in order {order:?} came as others", frame.ip);
    }
}

#[test]
fn what_comes_out_of_order_arrives_as_it_was() {
    let cluster = cluster("frag-order", 1);
    let n1 = cluster.node("n1");
    let (a, b) = (n1.pod("a").unwrap(), server(&cluster, "b"));
    let [mac, gateway] = macs(&a);
    let receiver = b.datagrams_at(PORT).unwrap();
    for ((own, other), node) in addresses(&a).into_iter().zip(addresses(&b)).zip(n1.addresses()) {
        let frame = |to| Frame { mac: (mac, gateway), ip: (own, to), ttl: 64 };
        let before = cluster.counted("n1", "fragment_held").unwrap();
        in_every_order(&a, frame(other), [4000, PORT], &receiver);
        // In three of four orders something is before the first.
        assert!(cluster.counted("n1", "fragment_held").unwrap() - before >= 36);
        in_every_order(&a, frame(*node), [4000, HOST_PORT], &receiver);
    }
    cluster.end().unwrap();
}

#[test]
fn what_comes_out_of_order_from_outside_arrives_as_it_was() {
    let cluster = cluster("frag-outside", 1);
    let (n1, client) = (cluster.node("n1"), cluster.client("c"));
    let b = server(&cluster, "b");
    let receiver = b.datagrams_at(PORT).unwrap();
    let (from, to) = (mac(client, "eth0"), mac(n1, "eth0"));
    for (own, node) in client.addresses().iter().zip(n1.addresses()) {
        let frame = Frame { mac: (from, to), ip: (*own, *node), ttl: 64 };
        in_every_order(client, frame, [4000, HOST_PORT], &receiver);
    }
    // The node's own are not lost.
    let own_receiver = n1.datagrams_at(2049).unwrap();
    for (own, node) in client.addresses().iter().zip(n1.addresses()) {
        let whole = Frame { mac: (from, to), ip: (*own, *node), ttl: 64 }.udp(4000, 2049, &bytes(3000));
        let fragments = shape::fragments(&whole, 99, &[1000, 1200]);
        client.send_frames("eth0", [2, 0, 1].map(|n: usize| &fragments[n])).unwrap();
        assert_eq!(own_receiver.receive().unwrap().bytes, bytes(3000));
    }
    cluster.end().unwrap();
}

fn masquerading(name: &str) -> Cluster {
    Cluster::builder(name).client("c").agent_args(["--host-nat=false", "--masquerade=true"]).start().unwrap()
}

#[test]
fn large_datagrams_and_pings_are_masqueraded_and_answered() {
    let cluster = masquerading("frag-masq");
    let (n1, client) = (cluster.node("n1"), cluster.client("c"));
    let pod = n1.pod("a").unwrap();
    let _server = client.serve(&["udp/53"]).unwrap();
    let netfilter = NftCounters::install(n1).unwrap();
    for to in client.addresses() {
        large_datagrams(&pod, SocketAddr::new(*to, PORT));
        for size in [5000, 20_000] {
            pod.ping_with(&Ping::new(*to).size(size)).unwrap();
        }
    }
    assert_eq!(netfilter.forwarded().unwrap(), 0);
    assert_eq!(cluster.counted("n1", "fragment_refused").unwrap(), 0);
    cluster.end().unwrap();
}

#[test]
fn what_is_masqueraded_out_of_order_arrives_as_it_was_and_so_does_the_answer() {
    let cluster = masquerading("frag-masq-order");
    let (n1, client) = (cluster.node("n1"), cluster.client("c"));
    let pod = n1.pod("a").unwrap();
    let receiver = client.datagrams_at(PORT).unwrap();
    let [own_mac, gateway] = macs(&pod);
    let (far_mac, node_mac) = (mac(client, "eth0"), mac(n1, "eth0"));
    for ((own, far), node) in addresses(&pod).into_iter().zip(client.addresses()).zip(n1.addresses()) {
        let there = Frame { mac: (own_mac, gateway), ip: (own, *far), ttl: 64 };
        in_every_order(&pod, there, [4000, PORT], &receiver);
        // The port is one of those to be lent, and kept.
        let asking = pod.datagrams_from(25_000, (*far, PORT)).unwrap();
        asking.send(b"question").unwrap();
        assert_eq!(receiver.receive().unwrap().from, SocketAddr::new(*node, 25_000));
        let back = Frame { mac: (far_mac, node_mac), ip: (*far, *node), ttl: 64 };
        in_every_order(client, back, [PORT, 25_000], &asking);
    }
    cluster.end().unwrap();
}

#[test]
fn senders_that_share_a_number_are_told_apart() {
    let cluster = cluster("frag-number", 1);
    let [a, b] = ["a", "b"].map(|name| cluster.node("n1").pod(name).unwrap());
    let target = server(&cluster, "target");
    let receiver = target.datagrams_at(PORT).unwrap();
    for ((one, two), to) in addresses(&a).into_iter().zip(addresses(&b)).zip(addresses(&target)) {
        let cut = |pod: &Pod, ip, fill| {
            let [mac, gateway] = macs(pod);
            let whole = Frame { mac: (mac, gateway), ip: (ip, to), ttl: 64 }.udp(4000, PORT, &vec![fill; 2500]);
            shape::fragments(&whole, 7, &[1000, 1200])
        };
        let (ones, twos) = (cut(&a, one, 1), cut(&b, two, 2));
        a.send_frames("eth0", [&ones[2], &ones[1]]).unwrap();
        b.send_frames("eth0", [&twos[1], &twos[0], &twos[2]]).unwrap();
        assert_eq!(receiver.receive().unwrap().bytes, vec![2; 2500]);
        a.send_frame("eth0", &ones[0]).unwrap();
        assert_eq!(receiver.receive().unwrap().bytes, vec![1; 2500]);
    }
    cluster.end().unwrap();
}
