//! The walks of the design (§4.4) that need no services, between real sockets, where the host's netfilter is not asked
//! (`--host-nat=false`). Each test is named after its walk. The first walk is in `lab_pod_to_pod.rs`.

mod adoption;
mod checksums;
mod ends;
mod errors;
mod far;
mod host;
mod nics;
mod other_node;
mod outside;
mod routes;
mod sources;

use std::{
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    time::Duration,
};

use caracal_harness::Frame;
use caracal_integration::{Cluster, ClusterBuilder, Connection, NftCounters};
use caracal_lab::{Node, Packet, Pod, Site};

/// Nothing but the programs decides where pods' packets go.
const DIRECT: [&str; 1] = ["--host-nat=false"];
/// And under which address.
const MASQUERADE: [&str; 2] = ["--host-nat=false", "--masquerade=true"];
/// The ports that are lent then.
const LENT: RangeInclusive<u16> = 20_000..=29_999;
/// How long to wait for what happens at once on an idle machine.
const PATIENCE: Duration = Duration::from_secs(20);
const MEGABYTE: usize = 1 << 20;

/// A cluster with somebody outside who knows the way to the pods of all nodes if nobody masquerades them.
fn with_outside(name: &str, nodes: usize, args: &[&str]) -> Cluster {
    let cluster = builder(name, nodes, args).client("outside").start().unwrap();
    if args == DIRECT {
        for node in cluster.lab().nodes() {
            route_to_pods(cluster.client("outside"), node);
        }
    }
    cluster
}

fn builder(name: &str, nodes: usize, args: &[&str]) -> ClusterBuilder {
    Cluster::builder(name).nodes(nodes).agent_args(args.iter().copied())
}

/// Makes somebody know the way to a node's pods.
fn route_to_pods(from: &impl Site, node: &Node) {
    for (cidr, via) in node.pod_cidrs().iter().zip(node.addresses()) {
        from.run("ip", ["route", "replace", &cidr.to_string(), "via", &via.to_string()]).unwrap();
    }
}

/// Counts what a machine's netfilter sees of TCP and UDP.
fn netfilter(site: &impl Site) -> NftCounters {
    NftCounters::matching(site, "meta l4proto { tcp, udp }").unwrap()
}

/// Fails if a machine's netfilter has seen anything.
#[track_caller]
fn assert_unseen(counters: &NftCounters) {
    let seen = ["prerouting", "input", "forward", "output", "postrouting"].map(|hook| counters.packets(hook).unwrap());
    assert_eq!(seen, [0; 5]);
}

/// Talks to the servers `tcp/80` and `udp/53` there: much by TCP, some by UDP, and an echo. Tells as whom the servers see it.
#[track_caller]
fn talk(from: &impl Site, to: IpAddr) -> [SocketAddr; 2] {
    let mut connection = Connection::open(from, (to, 80)).unwrap();
    connection.transfer(MEGABYTE).unwrap();
    let tcp = connection.seen_as();
    connection.finish().unwrap();
    let socket = from.datagrams((to, 53)).unwrap();
    let udp = [&b"question"[..], b"another", &[7; 1200]].map(|payload| socket.echo(payload).unwrap());
    assert_eq!(udp[1..], [udp[0]; 2]);
    from.ping(to).unwrap();
    [tcp, udp[0]]
}

/// The hardware address of an interface.
pub(crate) fn mac(site: &impl Site, ifname: &str) -> [u8; 6] {
    let shown = site.run("ip", ["-o", "link", "show", ifname]).unwrap();
    let text = shown.split_once("link/ether ").unwrap().1.split(' ').next().unwrap();
    let bytes: Vec<u8> = text.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    bytes.try_into().unwrap()
}

fn carries(packet: &Packet, payload: &[u8]) -> bool {
    packet.bytes.windows(payload.len()).any(|window| window == payload)
}

/// An honest frame of a pod.
fn from_pod(a: &Pod, own: IpAddr, to: IpAddr) -> Frame {
    let host = a.result()["interfaces"][0]["name"].as_str().unwrap();
    Frame { mac: (mac(a, "eth0"), mac(a.node(), host)), ip: (own, to), ttl: 64 }
}
