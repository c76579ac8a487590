//! Port mappings between real sockets: who reaches a pod by a port of its node, and whom the pod sees. The same as packets
//! is in `fixtures_port_mappings.rs`.

use std::net::{IpAddr, SocketAddr};

use caracal_integration::Cluster;
use caracal_lab::{
    Node, Pod, PodOptions, Site,
    traffic::{ErrorKind, Protocol, Request},
};
use serde_json::{Value, json};

const HOST_PORT: u16 = 8080;

fn mapped(node: &Node, name: &str, mappings: &Value) -> Pod {
    let mut options = PodOptions::default();
    options.capabilities.insert("portMappings".to_owned(), mappings.clone());
    node.pod_with(name, &options).unwrap()
}

/// TCP and UDP on the same port, for which the pod has another.
fn both() -> Value {
    json!([
        { "hostPort": HOST_PORT, "containerPort": 80, "protocol": "tcp" },
        { "hostPort": HOST_PORT, "containerPort": 53, "protocol": "udp", "hostIP": "" },
    ])
}

fn requests(to: IpAddr) -> [Request; 3] {
    let to = SocketAddr::new(to, HOST_PORT);
    // A socket that is not connected sees whom the answer comes from, and the lab compares.
    [Request::tcp(to), Request::udp(to), Request::udp(to).unconnected()]
}

/// Asks by every protocol; the pod must see `client`, whatever that is.
#[track_caller]
fn answered(from: &impl Site, to: IpAddr, client: impl Fn(IpAddr) -> bool) {
    for request in requests(to) {
        let reply = from.roundtrip(&request, b"question").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((reply.server.as_str(), reply.bytes.as_slice()), ("n1/server", &b"question"[..]));
        assert_eq!(reply.local.port(), if request.protocol == Protocol::Tcp { 80 } else { 53 });
        assert!(client(reply.peer.ip()), "{to}: the pod sees {}", reply.peer);
    }
}

#[track_caller]
fn refused(from: &impl Site, to: IpAddr) {
    let error = from.roundtrip(&Request::tcp((to, HOST_PORT)), b"question").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
}

#[test]
fn everybody_reaches_the_pod_and_is_seen_as_who_they_are() {
    let cluster = Cluster::start("ports", 2).unwrap();
    let (n1, n2) = (cluster.node("n1"), cluster.node("n2"));
    let server = mapped(n1, "server", &both());
    let _serving = server.serve(&["tcp/80", "udp/53"]).unwrap();
    let (neighbour, remote) = (n1.pod("neighbour").unwrap(), n2.pod("remote").unwrap());
    for to in n1.addresses() {
        let of_family = |addresses: &[IpAddr]| *addresses.iter().find(|ip| ip.is_ipv4() == to.is_ipv4()).unwrap();
        let pod = |pod: &Pod| of_family(&[pod.ip4().into(), pod.ip6().into()]);
        let (other_node, neighbours, remotes, own) =
            (of_family(n2.addresses()), pod(&neighbour), pod(&remote), pod(&server));
        answered(n2, *to, |client| client == other_node);
        answered(&remote, *to, |client| client == remotes);
        answered(&neighbour, *to, |client| client == neighbours);
        answered(n1, *to, |client| n1.addresses().contains(&client));
        answered(&server, *to, |client| client == own);
    }
    for to in ["127.0.0.1", "::1"] {
        answered(n1, to.parse().unwrap(), |client| n1.addresses().contains(&client));
        // In a pod that is the pod.
        refused(&neighbour, to.parse().unwrap());
    }
    let Value::Array(ports) = cluster.ctl("n1", "ports").unwrap() else { panic!("ports are a list") };
    assert_eq!(ports.len(), 4, "two protocols, two families: {ports:?}");
    // Long enough to be cut into segments, both ways.
    let payload = vec![7; 1_000_000];
    for to in n1.addresses() {
        assert_eq!(n2.tcp_roundtrip(SocketAddr::new(*to, HOST_PORT), &payload).unwrap().bytes, payload);
    }
    server.delete().unwrap();
    for to in n1.addresses() {
        refused(n2, *to);
        refused(n1, *to);
        refused(&neighbour, *to);
    }
    cluster.end().unwrap();
}

#[test]
fn a_mapping_of_one_address_answers_there_alone() {
    let cluster = Cluster::start("port-of-one", 2).unwrap();
    let (n1, n2) = (cluster.node("n1"), cluster.node("n2"));
    let v4 = *n1.addresses().iter().find(|ip| ip.is_ipv4()).unwrap();
    let v6 = *n1.addresses().iter().find(|ip| ip.is_ipv6()).unwrap();
    let mapping = |ip: &str| json!([{ "hostPort": HOST_PORT, "containerPort": 80, "protocol": "tcp", "hostIP": ip }]);
    let server = mapped(n1, "server", &mapping(&v4.to_string()));
    let local = mapped(n1, "local", &mapping("127.0.0.1"));
    let _serving = [server.serve(&["tcp/80"]).unwrap(), local.serve(&["tcp/80"]).unwrap()];
    let who = |from: &Node, to: IpAddr| from.roundtrip(&Request::tcp((to, HOST_PORT)), b"x").unwrap().server;
    assert_eq!(who(n2, v4), "n1/server");
    assert_eq!(who(n1, v4), "n1/server");
    assert_eq!(who(n1, "127.0.0.1".parse().unwrap()), "n1/local");
    refused(n2, v6);
    refused(n1, v6);
    cluster.end().unwrap();
}

#[test]
fn a_port_that_is_taken_is_refused_with_its_owner() {
    let cluster = Cluster::start("port-taken", 1).unwrap();
    let n1 = cluster.node("n1");
    let first = mapped(n1, "first", &both());
    let mut options = PodOptions::default();
    options.capabilities.insert("portMappings".to_owned(), both());
    let error = format!("{:#}", n1.pod_with("second", &options).unwrap_err());
    assert!(error.contains("port 8080/6 of 0.0.0.0 leads to another pod already"), "{error}");
    first.delete().unwrap();
    n1.pod_with("third", &options).unwrap().delete().unwrap();
    cluster.end().unwrap();
}

#[test]
fn connections_outlive_the_agent() {
    let mut cluster = Cluster::start("ports-agent", 2).unwrap();
    let server = mapped(cluster.node("n1"), "server", &both());
    let _serving = server.serve(&["tcp/80", "udp/53"]).unwrap();
    cluster.kill_agents().unwrap();
    let (n1, n2) = (cluster.node("n1"), cluster.node("n2"));
    for to in n1.addresses() {
        answered(n2, *to, |client| n2.addresses().contains(&client));
        answered(n1, *to, |client| n1.addresses().contains(&client));
    }
    drop(server);
    cluster.end().unwrap();
}
