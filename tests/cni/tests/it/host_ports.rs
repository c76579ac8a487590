//! portmap after our plugin, beside the data plane: from everywhere to a container by a port of its node, and from
//! nowhere after DEL. The data plane must leave what the host translates to the host.

use std::net::{IpAddr, SocketAddr};

use caracal_cni_suite::{load_data_plane, start_lab};
use caracal_lab::{Lab, Node, PodOptions, Site, cni::Network, require_root};
use serde_json::{Value, json};

const PORT: u16 = 8080;
const INSIDE: u16 = 80;

/// Addresses from the node's own ranges, to which the other nodes have routes.
fn list(version: &str, backend: &str, node: &Node) -> Network {
    let ranges: Vec<Value> = node.pod_cidrs().iter().map(|cidr| json!([{"subnet": cidr}])).collect();
    let plugins = json!([
        {"type": "caracal", "ipam": {"type": "caracal-ipam", "ranges": ranges}},
        {"type": "portmap", "capabilities": {"portMappings": true}, "backend": backend},
    ]);
    Network::from_list(&json!({"cniVersion": version, "name": "net", "plugins": plugins})).unwrap()
}

fn with_ports() -> PodOptions {
    let mapping = |protocol: &str| json!({"hostPort": PORT, "containerPort": INSIDE, "protocol": protocol});
    let mut options = PodOptions::default();
    options.capabilities.insert("portMappings".to_owned(), json!([mapping("tcp"), mapping("udp")]));
    options
}

/// Who asks, and whom they ask for.
fn asks(from: &impl Site, to: IpAddr) -> bool {
    let to = SocketAddr::new(to, PORT);
    let tcp = from.tcp_roundtrip(to, &vec![7; 50_000]);
    let again = from.tcp_roundtrip(to, b"established");
    let udp = from.udp_roundtrip(to, b"question");
    let all = [tcp.is_ok(), again.is_ok(), udp.is_ok()];
    assert!(all == [true; 3] || all == [false; 3], "{} to {to}: {tcp:?} {again:?} {udp:?}", from.label());
    all[0]
}

fn reaches(version: &str, backend: &str, data_plane: bool) {
    if !require_root() {
        return;
    }
    let lab: Lab = start_lab("ports", &["n1", "n2"]).unwrap();
    let (n1, n2) = (lab.node("n1"), lab.node("n2"));
    if data_plane {
        lab.nodes().for_each(|node| load_data_plane(node).unwrap());
    }
    let pod = |node: &Node, name: &str, mut options: PodOptions| {
        options.network = Some(list(version, backend, node));
        node.pod_with(name, &options).unwrap()
    };
    let server = pod(n1, "server", with_ports());
    let neighbour = pod(n1, "neighbour", PodOptions::default());
    let remote = pod(n2, "remote", PodOptions::default());
    let ports = [format!("tcp/{INSIDE}"), format!("udp/{INSIDE}")];
    let _serving = server.serve(&[&ports[0], &ports[1]]).unwrap();
    for ip in n1.addresses() {
        assert!(asks(lab.client("c1"), *ip), "from outside to {ip}");
        assert!(asks(n2, *ip), "from another node to {ip}");
        assert!(asks(&remote, *ip), "from a container of another node to {ip}");
        assert!(asks(n1, *ip), "from the node itself to {ip}");
        assert!(asks(&neighbour, *ip), "from a container of the node to {ip}");
        assert!(asks(&server, *ip), "from the container itself to {ip}");
    }
    assert!(asks(n1, "127.0.0.1".parse().unwrap()), "from the node by localhost");
    for ip in server.addresses() {
        let direct = neighbour.tcp_roundtrip((*ip, INSIDE), b"direct").unwrap();
        assert_eq!(direct.server, "n1/server");
    }
    server.delete().unwrap();
    for ip in n1.addresses() {
        assert!(!asks(n1, *ip), "after DEL, to {ip}");
        assert!(!asks(lab.client("c1"), *ip), "after DEL, to {ip}");
        assert!(!asks(&remote, *ip), "after DEL, to {ip}");
    }
    neighbour.delete().unwrap();
    remote.delete().unwrap();
    let left: Value = serde_json::from_str(&n1.run("ip", ["-json", "link", "show", "type", "veth"]).unwrap()).unwrap();
    let left: Vec<_> =
        left.as_array().unwrap().iter().filter(|link| link["ifname"] != "eth0" && link["ifname"].is_string()).collect();
    assert!(left.is_empty(), "{left:?}");
    lab.end().unwrap();
}

#[test]
fn nftables_beside_the_data_plane() {
    reaches("1.1.0", "nftables", true);
}

#[test]
fn iptables_beside_the_data_plane() {
    reaches("0.4.0", "iptables", true);
}

#[test]
fn by_routes_alone() {
    reaches("0.3.1", "nftables", false);
}
