//! Queues and filters that others put on pods' links: packets pass them where they are, and go past where not.

use std::{net::IpAddr, time::Duration};

use caracal_integration::{Cluster, Connection};
use caracal_lab::{Pod, Site, wait_until};
use serde_json::{Value, json};

/// The agent looks every few seconds.
const NOTICED: Duration = Duration::from_secs(20);

/// How long connection tracking remembers a connection that it has seen one packet of: less than the kernel's default.
const FORGETS_S: u32 = 8;

/// Our plugin behind another one, which may be followed by others.
fn chained() -> Value {
    let ranges = json!([[{ "subnet": "${podCIDR4}" }], [{ "subnet": "${podCIDR6}" }]]);
    let routes = json!([{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }]);
    json!({
        "cniVersion": "1.0.0",
        "name": "chained",
        "plugins": [
            { "type": "ptp", "ipam": { "type": "host-local", "ranges": ranges, "routes": routes } },
            { "type": "caracal" },
        ],
    })
}

/// The ways of flows from one to another by a protocol.
fn ways(cluster: &Cluster, protocol: &str, from: impl Into<IpAddr>, to: impl Into<IpAddr>) -> Vec<(u64, String)> {
    let (from, to) = (from.into().to_string(), to.into().to_string());
    let Value::Array(mut flows) = cluster.ctl("n1", "flows").unwrap() else { panic!("flows are a list") };
    flows.retain(|flow| flow["protocol"] == protocol && flow["source"] == *from && flow["destination"] == *to);
    let way = |flow: &Value| (flow["source_port"].as_u64().unwrap(), flow["via"].as_str().unwrap().to_owned());
    flows.iter().map(way).collect()
}

/// The way of what a connection's client sends.
fn way(cluster: &Cluster, connection: &Connection, [client, server]: [&Pod; 2]) -> String {
    let port = u64::from(connection.port().unwrap());
    let ways = ways(cluster, "tcp", client.ip4(), server.ip4());
    ways.into_iter().find(|(source, _)| *source == port).expect("the connection is known").1
}

/// The name of the host's end of a pod's link.
fn host_end(pod: &Pod) -> String {
    pod.result()["interfaces"][0]["name"].as_str().unwrap().to_owned()
}

fn tc(pod: &Pod, command: &str) -> String {
    let command = format!("tc {}", command.replace("LINK", &host_end(pod)));
    pod.node().run("sh", ["-c", &command]).unwrap()
}

#[test]
fn behind_another_plugin_pods_come_to_reach_each_other_directly() {
    let cluster = Cluster::start("behind", 1).unwrap();
    cluster.install("n1", &["/usr/lib/cni/ptp", "/usr/lib/cni/host-local"]).unwrap();
    let node = cluster.node("n1");
    node.set_conflist(&chained()).unwrap();
    let [a, b] = ["a", "b"].map(|name| node.pod(name).unwrap());
    let _server = b.serve(&["tcp/80", "udp/53"]).unwrap();
    let mut early = Connection::open(&a, (b.ip4(), 80)).unwrap();
    for (from, to) in a.addresses().iter().zip(b.addresses()) {
        let are_direct = || {
            early.echo(b"all the time").unwrap();
            a.tcp_roundtrip((*to, 80), b"?").unwrap();
            a.udp_roundtrip((*to, 53), b"?").unwrap();
            let is_direct = |protocol: &str, from: IpAddr, to: IpAddr| {
                ways(&cluster, protocol, from, to).iter().any(|(_, way)| way == "peer")
            };
            ["tcp", "udp"].iter().all(|protocol| is_direct(protocol, *from, *to) && is_direct(protocol, *to, *from))
        };
        wait_until(format!("flows from {from} past the host's stack"), NOTICED, are_direct).unwrap();
    }
    for pod in [a, b] {
        pod.delete().unwrap();
    }
    assert_eq!(cluster.ctl("n1", "flows").unwrap(), json!([]));
    cluster.end().unwrap();
}

#[test]
fn a_queue_that_somebody_adds_is_noticed_and_so_is_its_end() {
    let cluster = Cluster::start("tbf", 1).unwrap();
    let [a, b] = ["a", "b"].map(|name| cluster.node("n1").pod(name).unwrap());
    let _server = b.serve(&["tcp/80"]).unwrap();
    let mut connection = Connection::open(&a, (b.ip4(), 80)).unwrap();
    let mut goes = |wanted: &str| {
        let is_there = || {
            connection.echo(b"by whichever way").unwrap();
            way(&cluster, &connection, [&a, &b]) == wanted
        };
        wait_until(format!("the connection by {wanted}"), NOTICED, is_there).unwrap();
        connection.echo(b"by the new way").unwrap();
    };
    goes("peer");
    tc(&b, "qdisc add dev LINK root tbf rate 80mbit burst 64kb latency 50ms");
    let queued = || {
        let qdiscs: Value = serde_json::from_str(&tc(&b, "-s -j qdisc show dev LINK")).unwrap();
        let tbf = qdiscs.as_array().unwrap().iter().find(|qdisc| qdisc["kind"] == "tbf").unwrap();
        tbf["packets"].as_u64().unwrap()
    };
    goes("egress");
    let before = queued();
    goes("egress");
    assert!(queued() > before, "packets pass the queue");
    tc(&b, "qdisc del dev LINK root");
    goes("peer");
    // It was one flow all the time.
    assert_eq!(ways(&cluster, "tcp", a.ip4(), b.ip4()).len(), 1);
    cluster.end().unwrap();
}

/// As kube-proxy has it: what connection tracking finds invalid is dropped. A connection that became direct with its second
/// packet is just that to the host, until the first is forgotten.
#[test]
fn a_filter_that_somebody_adds_is_noticed_and_breaks_no_connection() {
    let cluster = Cluster::start("filter", 1).unwrap();
    let node = cluster.node("n1");
    let rules = "table inet kube { chain forward { type filter hook forward priority 0; ct state invalid drop; }; }";
    node.command("nft").args(["-f", "-"]).stdin(rules).run().unwrap();
    let forgets = format!("net.netfilter.nf_conntrack_tcp_timeout_syn_sent={FORGETS_S}");
    node.run("sysctl", ["-qw", &forgets]).unwrap();
    let [a, b] = ["a", "b"].map(|name| node.pod(name).unwrap());
    let _server = b.serve(&["tcp/80", "udp/53"]).unwrap();
    let mut connection = Connection::open(&a, (b.ip4(), 80)).unwrap();
    connection.echo(b"before").unwrap();
    assert_eq!(way(&cluster, &connection, [&a, &b]), "peer");
    let mut goes = |wanted: &str| {
        let is_there = || {
            connection.echo(b"by whichever way").unwrap();
            a.udp_roundtrip((b.ip4(), 53), b"?").unwrap();
            way(&cluster, &connection, [&a, &b]) == wanted
        };
        wait_until(format!("the connection by {wanted}"), NOTICED, is_there).unwrap();
        connection.echo(b"by the new way").unwrap();
    };
    let have_settled = || [&a, &b].iter().all(|pod| tc(pod, "filter show dev LINK ingress").is_empty());
    wait_until("the pods to settle", NOTICED, have_settled).unwrap();
    if !tc(&a, "qdisc show dev LINK").contains("ffff:") {
        tc(&a, "qdisc add dev LINK clsact");
    }
    tc(&a, "filter add dev LINK ingress protocol all prio 7 u32 match u32 0 0 flowid 1:1");
    goes("host");
    let mut later = Connection::open(&a, (b.ip4(), 80)).unwrap();
    assert_eq!(way(&cluster, &later, [&a, &b]), "host");

    tc(&a, "filter del dev LINK ingress protocol all prio 7 u32");
    let is_direct = || {
        later.echo(b"goes on as well").unwrap();
        a.udp_roundtrip((b.ip4(), 53), b"?").unwrap();
        ways(&cluster, "udp", a.ip4(), b.ip4()).iter().any(|(_, way)| way == "peer")
    };
    wait_until("new flows past the host's stack", NOTICED, is_direct).unwrap();
    goes("host");
    cluster.end().unwrap();
}
