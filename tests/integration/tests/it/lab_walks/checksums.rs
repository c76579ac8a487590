//! Checksums from end to end, whoever computes them: with offloads and without, joined and cut, large and small.

use std::net::IpAddr;

use caracal_integration::{Cluster, Connection};
use caracal_lab::{Node, Pod, Site, wait_until};

use super::{DIRECT, MASQUERADE, MEGABYTE, PATIENCE, builder, route_to_pods, talk};

const LISTENS: [&str; 2] = ["tcp/80", "udp/53"];

/// Switches offloads of everything that is on the way.
fn set_offloads(cluster: &Cluster, pods: &[&Pod], on: bool) {
    for pod in pods {
        let host = pod.result()["interfaces"][0]["name"].as_str().unwrap();
        pod.set_offloads("eth0", on).unwrap();
        pod.node().set_offloads(host, on).unwrap();
    }
    for node in cluster.lab().nodes() {
        node.set_offloads("eth0", on).unwrap();
    }
    cluster.client("outside").set_offloads("eth0", on).unwrap();
}

/// Sends datagrams by one call and receives them, joined or not.
#[track_caller]
fn send_segments(from: &impl Site, to: &impl Site, ip: IpAddr) {
    let socket = to.datagrams_at(9002).unwrap();
    socket.join_segments().unwrap();
    let sender = from.datagrams((ip, 9002)).unwrap();
    let sent: Vec<u8> = (0..=250).cycle().take(20 * 1000 + 7).collect();
    sender.send_segments(&sent, 1000).unwrap();
    let mut received = Vec::new();
    while received.len() < sent.len() {
        received.extend(socket.receive().unwrap().bytes);
    }
    assert!(received == sent, "{ip}");
}

/// Everything that can be sent from a pod to a site with servers.
#[track_caller]
fn carries_all(from: &Pod, to: &impl Site) {
    for ip in to.addresses() {
        talk(from, *ip);
        send_segments(from, to, *ip);
        // Both directions busy, from the other side's view.
        Connection::open(from, (*ip, 80)).unwrap().transfer(2 * MEGABYTE).unwrap();
    }
}

fn with_mtu(name: &str, mtu: u32, args: &[&str]) {
    let cluster = builder(name, 2, args).mtu(mtu).client("outside").start().unwrap();
    let outside = cluster.client("outside");
    if args == DIRECT {
        route_to_pods(outside, cluster.node("n1"));
    }
    let [a, near] = ["a", "near"].map(|name| cluster.node("n1").pod(name).unwrap());
    let far = cluster.node("n2").pod("far").unwrap();
    let _servers = [near.serve(&LISTENS).unwrap(), far.serve(&LISTENS).unwrap(), outside.serve(&LISTENS).unwrap()];
    for on in [true, false] {
        set_offloads(&cluster, &[&a, &near, &far], on);
        carries_all(&a, &near);
        carries_all(&a, &far);
        carries_all(&a, outside);
        // What one call sends is cut on the way where the receiver's side has no offloads.
        let mixed = [&near, &far];
        for pod in mixed {
            pod.set_offloads("eth0", !on).unwrap();
            carries_all(&a, pod);
        }
    }
    cluster.end().unwrap();
}

#[test]
fn walk_2_and_4_checksums_are_right_with_offloads_and_without() {
    with_mtu("sums", 1500, &DIRECT);
}

#[test]
fn walk_2_and_4_checksums_are_right_when_masqueraded() {
    with_mtu("sums-masq", 1500, &MASQUERADE);
}

#[test]
fn walk_2_and_4_checksums_are_right_in_jumbo_frames() {
    with_mtu("sums-jumbo", 9000, &DIRECT);
    with_mtu("sums-jumbo-masq", 9000, &MASQUERADE);
}

#[test]
fn walk_2_and_4_jumbo_frames_pass_whole() {
    let cluster = builder("jumbo", 2, &MASQUERADE).mtu(9000).client("outside").start().unwrap();
    let a = cluster.node("n1").pod("a").unwrap();
    let b = cluster.node("n2").pod("b").unwrap();
    let outside = cluster.client("outside");
    let _servers = [b.serve(&LISTENS).unwrap(), outside.serve(&LISTENS).unwrap()];
    for to in b.addresses().iter().chain(outside.addresses()) {
        let socket = a.datagrams((*to, 53)).unwrap();
        socket.never_fragment().unwrap();
        socket.echo(&[7; 8000]).unwrap();
        assert_eq!(socket.path_mtu().unwrap(), 9000);
    }
    cluster.end().unwrap();
}

/// A tunnel between the nodes whose outer packets have checksums: what it unpacks has its sum computed by the kernel
/// (`CHECKSUM_COMPLETE`), and whoever changes such a packet must keep that sum right.
fn tunnel(node: &Node, other: &Node, end: u8) {
    let (local, remote) = (node.ip4().to_string(), other.ip4().to_string());
    let link = ["link", "add", "vx0", "type", "vxlan", "id", "7", "dstport", "4789", "udpcsum"];
    node.run("ip", link.into_iter().chain(["local", &local, "remote", &remote, "dev", "eth0"])).unwrap();
    node.run("ip", ["link", "set", "vx0", "up"]).unwrap();
    for ip in [format!("198.18.7.{end}/24"), format!("2001:db8:7::{end}/64")] {
        node.run("ip", ["address", "add", &ip, "dev", "vx0", "nodad"]).unwrap();
    }
}

/// How often the kernel has found a sum wrong.
fn complaints(node: &Node) -> usize {
    node.run("dmesg", [""; 0]).unwrap().matches("hw csum failure").count()
}

#[test]
fn walk_2_and_4_sums_that_the_kernel_knows_stay_right() {
    for (name, args) in [("complete", &DIRECT[..]), ("complete-masq", &MASQUERADE)] {
        let cluster = builder(name, 2, args).start().unwrap();
        let (near, far) = (cluster.node("n1"), cluster.node("n2"));
        let ([a, asked], b) = (["a", "asked"].map(|name| near.pod(name).unwrap()), far.pod("b").unwrap());
        let before = complaints(near);
        // Without them outer checksums are computed, and so known to whoever unpacks.
        for node in [near, far] {
            node.set_offloads("eth0", false).unwrap();
        }
        tunnel(near, far, 1);
        tunnel(far, near, 2);
        let hops = [["198.18.7.1", "198.18.7.2"], ["2001:db8:7::1", "2001:db8:7::2"]];
        for ((one, other), [here, there]) in a.addresses().iter().zip(b.addresses()).zip(hops) {
            near.run("ip", ["route", "add", &other.to_string(), "via", there]).unwrap();
            far.run("ip", ["route", "add", &one.to_string(), "via", here]).unwrap();
        }
        for (ip, [here, _]) in asked.addresses().iter().zip(hops) {
            far.run("ip", ["route", "add", &ip.to_string(), "via", here]).unwrap();
        }
        let _servers = [asked.serve(&LISTENS).unwrap(), b.serve(&LISTENS).unwrap(), far.serve(&LISTENS).unwrap()];
        for ((to, asked), [here, there]) in b.addresses().iter().zip(asked.addresses()).zip(hops) {
            wait_until("the tunnel", PATIENCE, || a.ping(*to).is_ok()).unwrap();
            talk(&a, *to);
            send_segments(&a, &b, *to);
            let there: IpAddr = there.parse().unwrap();
            wait_until("the tunnel as a NIC", PATIENCE, || a.ping(there).is_ok()).unwrap();
            let seen = talk(&a, there);
            if args == MASQUERADE {
                assert_eq!(seen.map(|seen| seen.ip().to_string()), [here; 2]);
            }
            talk(far, *asked);
        }
        assert_eq!(complaints(near), before);
        cluster.end().unwrap();
    }
}
