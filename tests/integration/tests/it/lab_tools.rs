//! The tools of the other tests show what they claim to.

use std::{net::SocketAddr, time::Duration};

use caracal_integration::{Cluster, Connection, NftCounters};
use caracal_lab::Site;

#[test]
fn what_the_host_forwards_is_counted_and_what_is_direct_is_not() {
    let direct = |arg: &str| {
        let cluster = Cluster::builder("counters").agent_args([arg]).start().unwrap();
        let n1 = cluster.node("n1");
        let [a, b] = ["a", "b"].map(|name| n1.pod(name).unwrap());
        let _server = b.serve(&["udp/53"]).unwrap();
        let counters = NftCounters::matching(n1, "udp dport 53").unwrap();
        for to in b.addresses() {
            let socket = a.datagrams_from(4242, (*to, 53)).unwrap();
            for _ in 0..3 {
                assert_eq!(socket.echo(b"question").unwrap().port(), 4242);
            }
        }
        let forwarded = counters.forwarded().unwrap();
        assert_eq!(counters.packets_of("forward", true).unwrap(), forwarded / 2);
        assert_eq!(counters.packets("prerouting").unwrap(), forwarded);
        assert_eq!(counters.packets("input").unwrap() + counters.packets("output").unwrap(), 0);
        counters.reset().unwrap();
        assert_eq!(counters.forwarded().unwrap(), 0);
        counters.remove().unwrap();
        cluster.end().unwrap();
        forwarded
    };
    assert_eq!(direct("--host-nat=false"), 0);
    assert_eq!(direct("--host-nat=true"), 2, "the first of each family");
}

#[test]
fn connections_carry_much_both_ways_and_end_in_both_ways() {
    let cluster = Cluster::builder("streams").nodes(2).client("outside").start().unwrap();
    let (a, b) = (cluster.node("n1").pod("a").unwrap(), cluster.node("n2").pod("b").unwrap());
    let outside = cluster.client("outside");
    let _servers = [b.serve(&["tcp/80"]).unwrap(), outside.serve(&["tcp/80"]).unwrap()];
    for (from, to) in a.addresses().iter().zip(b.addresses()) {
        let mut connection = Connection::open_from(&a, 4242, (*to, 80)).unwrap();
        assert_eq!((connection.port().unwrap(), connection.path_mtu().unwrap()), (4242, 1500));
        connection.transfer(8 << 20).unwrap();
        connection.echo(b"still here").unwrap();
        assert_eq!(connection.seen_as(), SocketAddr::new(*from, connection.port().unwrap()));
        connection.finish().unwrap();
    }
    let capture = b.capture("eth0").unwrap();
    Connection::open(&a, (b.ip4(), 80)).unwrap().reset().unwrap();
    let rst = |bytes: &[u8]| bytes.get(23) == Some(&6) && bytes[14 + 20 + 13] & 4 != 0;
    capture.wait_for("RST", Duration::from_secs(5), |packet| rst(&packet.bytes)).unwrap();
    // A node reaches whoever is outside, and is seen as itself.
    let n1 = cluster.node("n1");
    assert_eq!(Connection::open(n1, (outside.ip4(), 80)).unwrap().seen_as().ip(), n1.ip4());
    cluster.end().unwrap();
}

#[test]
fn pods_have_the_mtu_of_the_lan_or_another_and_offloads_can_be_switched() {
    let cluster = Cluster::builder("mtus").mtu(9000).start().unwrap();
    let [a, b] = ["a", "b"].map(|name| cluster.node("n1").pod(name).unwrap());
    let _server = b.serve(&["udp/53", "tcp/80"]).unwrap();
    for offloads in [true, false] {
        for pod in [&a, &b] {
            pod.set_offloads("eth0", offloads).unwrap();
            assert_eq!(pod.offload("eth0", "tcp-segmentation-offload").unwrap(), offloads);
        }
        for to in b.addresses() {
            let socket = a.datagrams((*to, 53)).unwrap();
            socket.never_fragment().unwrap();
            socket.echo(&[7; 8000]).unwrap();
            assert_eq!(socket.path_mtu().unwrap(), 9000);
            // In several fragments, both ways.
            a.udp_roundtrip((*to, 53), &vec![7; 30_000]).unwrap();
            Connection::open(&a, (*to, 80)).unwrap().transfer(1 << 20).unwrap();
        }
    }
    cluster.end().unwrap();
    let cluster = Cluster::builder("pod-mtu").pod_mtu(1280).start().unwrap();
    let a = cluster.node("n1").pod("a").unwrap();
    assert!(a.run("ip", ["link", "show", "eth0"]).unwrap().contains("mtu 1280"));
    cluster.end().unwrap();
}
