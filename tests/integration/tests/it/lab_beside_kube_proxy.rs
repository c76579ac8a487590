//! Services by somebody else: the host's netfilter translates, as kube-proxy has it do. Replies of a backend on the
//! client's own node must find their way back through it.

use std::net::{IpAddr, SocketAddr};

use caracal_integration::Cluster;
use caracal_lab::{Node, Pod, Site};

const VIPS: [&str; 2] = ["10.96.0.10", "fd00:10:96::10"];

/// One service of two ports with one backend, for both families.
fn serve_by_nft(node: &Node, backend: &Pod) {
    let [vip4, vip6] = VIPS;
    let (pod4, pod6) = (backend.ip4(), backend.ip6());
    let rules = format!(
        "table inet services {{
           chain translate {{
             type nat hook prerouting priority dstnat;
             ip daddr {vip4} tcp dport 80 dnat ip to {pod4}:8080
             ip daddr {vip4} udp dport 53 dnat ip to {pod4}:5353
             ip6 daddr {vip6} tcp dport 80 dnat ip6 to [{pod6}]:8080
             ip6 daddr {vip6} udp dport 53 dnat ip6 to [{pod6}]:5353
           }}
         }}"
    );
    node.command("nft").args(["-f", "-"]).stdin(rules).run().unwrap();
}

#[test]
fn a_service_of_the_hosts_works_with_its_backend_on_the_same_node() {
    let cluster = Cluster::start("services", 1).unwrap();
    let node = cluster.node("n1");
    let [client, backend] = ["client", "backend"].map(|name| node.pod(name).unwrap());
    serve_by_nft(node, &backend);
    let _server = backend.serve(&["tcp/8080", "udp/5353"]).unwrap();
    for (vip, own) in VIPS.iter().zip(client.addresses()) {
        let vip: IpAddr = vip.parse().unwrap();
        for _ in 0..3 {
            let reply = client.tcp_roundtrip(SocketAddr::new(vip, 80), &[7; 5000]).unwrap();
            assert_eq!((reply.peer.ip(), reply.bytes.len()), (*own, 5000));
            let reply = client.udp_roundtrip(SocketAddr::new(vip, 53), b"question").unwrap();
            assert_eq!(reply.peer.ip(), *own);
        }
        // Directly, in between, the same pods.
        let direct = if vip.is_ipv4() { backend.ip4().into() } else { IpAddr::from(backend.ip6()) };
        client.tcp_roundtrip(SocketAddr::new(direct, 8080), b"direct").unwrap();
        client.udp_roundtrip(SocketAddr::new(direct, 5353), b"direct").unwrap();
        client.tcp_roundtrip(SocketAddr::new(vip, 80), b"again").unwrap();
    }
    cluster.end().unwrap();
}
