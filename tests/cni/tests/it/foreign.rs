//! Lists with the CNI project's plugins before and after ours, and IPAM given and taken, with the data plane loaded.

use caracal_cni_suite::{Cell, Container, Kind, addresses, ip, link, peers, rows};
use caracal_lab::{Node, Site as _};
use serde_json::{Value, json};

const V4: &str = "10.1.0.0/24";
const V6: &str = "fd00:1::/64";

rows! {
    ptp_then_ours: all, [driver, cnitool, rust_cni];
    bridge_then_ours: all, [driver, cnitool];
    bridge_then_ours_dual_stack: all, [driver];
    debians_ptp_then_ours: up_to_1_0_0, [driver, cnitool];
    ptp_bandwidth_then_ours: all, [driver, cnitool];
    ptp_then_ours_twice: all, [driver, cnitool];
    ptp_firewall_then_ours: since_0_4_0, [driver];
    ours_then_bandwidth: all, [driver, cnitool];
    ours_by_a_filter_then_bandwidth: all, [driver, cnitool];
    ours_then_tuning: all, [driver, cnitool];
    ours_then_portmap_and_tuning: all, [driver];
    host_local_under_ours: all, [driver, cnitool, rust_cni];
    static_under_ours: all, [driver, cnitool];
    our_ipam_under_ptp: all, [driver, cnitool, rust_cni];
    our_ipam_under_bridge: all, [driver, cnitool];
    our_ipam_fails_under_ptp: all, [driver, cnitool, rust_cni];
    a_plugin_after_ours_fails: all, [driver, cnitool];
}

fn ours() -> Value {
    json!({"type": "caracal", "policy": "required"})
}

fn ours_first() -> Value {
    json!({"type": "caracal", "policy": "required", "ipam": {"type": "caracal-ipam", "ranges": [[{"subnet": V4}]]}})
}

fn host_local(subnets: &[&str]) -> Value {
    let ranges: Vec<_> = subnets.iter().map(|subnet| json!([{"subnet": subnet}])).collect();
    json!({"type": "host-local", "ranges": ranges, "routes": default_routes(subnets)})
}

fn our_ipam(subnets: &[&str]) -> Value {
    let ranges: Vec<_> = subnets.iter().map(|subnet| json!([{"subnet": subnet}])).collect();
    json!({"type": "caracal-ipam", "ranges": ranges, "routes": default_routes(subnets)})
}

fn default_routes(subnets: &[&str]) -> Vec<Value> {
    let any = |subnet: &&str| json!({"dst": if subnet.contains(':') { "::/0" } else { "0.0.0.0/0" }});
    subnets.iter().map(any).collect()
}

fn main_plugin(kind: &str, ipam: &Value) -> Value {
    json!({"type": kind, "isGateway": kind == "bridge", "ipam": ipam})
}

/// Two containers attached by a list; the test looks at them in between.
fn live(cell: &Cell, list: &Value, while_they_live: impl FnOnce(&Container, &Container)) {
    live_as(cell, list, |container| container, while_they_live);
}

/// The same, with containers that are special.
fn live_as(
    cell: &Cell,
    list: &Value,
    special: impl Fn(Container) -> Container,
    while_they_live: impl FnOnce(&Container, &Container),
) {
    cell.load_data_plane();
    if cell.since("1.1.0") && cell.kind != Kind::RustCni {
        cell.status(list).unwrap();
    }
    let [a, b] = ["a", "b"].map(|name| special(cell.container(name))).map(|container| {
        let result = cell.add(list, &container);
        assert_eq!(result["cniVersion"], cell.version.as_str(), "{result}");
        container.with(&result)
    });
    assert_eq!(cell.known_to_the_data_plane(), known(&[&a, &b]));
    let server = b.serve(&["tcp/8080"]).unwrap();
    for (from, to) in a.addresses().iter().zip(b.addresses()) {
        a.ping(*to).unwrap();
        assert_eq!(a.tcp_roundtrip((*to, 8080), &vec![7; 100_000]).unwrap().peer.ip(), *from);
        cell.node().ping(*to).unwrap();
    }
    drop(server);
    while_they_live(&a, &b);
    if cell.since("0.4.0") && cell.kind != Kind::RustCni {
        cell.check(list, &a).unwrap();
    }
    cell.del(list, &a);
    cell.del(list, &a);
    assert_eq!(cell.known_to_the_data_plane(), known(&[&b]));
    if cell.since("1.1.0") && cell.kind == Kind::Driver {
        cell.gc(list, &[&b]).unwrap();
        assert_eq!(cell.known_to_the_data_plane(), known(&[&b]));
        cell.gc(list, &[]).unwrap();
    } else {
        cell.del(list, &b);
    }
    assert_eq!(cell.known_to_the_data_plane(), known(&[]));
    cell.is_clean();
}

fn known(containers: &[&Container]) -> Vec<std::net::IpAddr> {
    let mut known: Vec<_> = containers.iter().flat_map(|container| container.addresses().to_vec()).collect();
    known.sort_unstable();
    known
}

fn ptp_then_ours(cell: &Cell) {
    live(cell, &cell.list(&[main_plugin("ptp", &host_local(&[V4])), ours()]), |_, _| {});
}

fn bridge_then_ours(cell: &Cell) {
    live(cell, &cell.list(&[main_plugin("bridge", &host_local(&[V4])), ours()]), |_, _| {});
}

fn bridge_then_ours_dual_stack(cell: &Cell) {
    live(cell, &cell.list(&[main_plugin("bridge", &host_local(&[V4, V6])), ours()]), |_, _| {});
}

/// The version that nodes of today have: it knows no 1.1.0.
fn debians_ptp_then_ours(cell: &Cell) {
    for plugin in ["ptp", "host-local"] {
        cell.node().install(&peers::debian_plugin(plugin).unwrap()).unwrap();
    }
    live(cell, &cell.list(&[main_plugin("ptp", &host_local(&[V4])), ours()]), |_, _| {});
}

/// A limited rate of a million bits towards the container and as much from it.
fn limits() -> Value {
    json!({"type": "bandwidth", "ingressRate": 1_000_000, "ingressBurst": 400_000, "egressRate": 1_000_000,
        "egressBurst": 400_000})
}

/// Names of links of the node with a token bucket of that rate at their root.
fn limited(node: &Node) -> Vec<String> {
    let text = node.run("tc", ["-json", "qdisc", "show"]).unwrap();
    let qdiscs: Value = serde_json::from_str(&text).unwrap();
    let limited = qdiscs.as_array().unwrap().iter().filter(|q| q["kind"] == "tbf" && q["options"]["rate"] == 125_000);
    limited.map(|qdisc| qdisc["dev"].as_str().unwrap().to_owned()).collect()
}

/// Both directions are limited: the one at the veth itself, the other at an intermediate device.
fn is_limited(cell: &Cell, container: &Container) {
    let inside = link(container, "eth0").unwrap();
    let links = ip(cell.node(), "link show").unwrap();
    let outside = links.as_array().unwrap().iter().find(|link| link["ifindex"] == inside["link_index"]).unwrap();
    let found = limited(cell.node());
    assert!(found.iter().any(|dev| outside["ifname"] == dev.as_str()), "{outside} is in {found:?}");
    assert_eq!(found.len(), 4, "two containers, two directions: {found:?}");
    let filter =
        cell.node().run("tc", ["filter", "show", "dev", outside["ifname"].as_str().unwrap(), "parent", "ffff:"]);
    assert!(filter.unwrap().contains("mirred"), "egress goes by the intermediate device");
}

fn ptp_bandwidth_then_ours(cell: &Cell) {
    let list = cell.list(&[main_plugin("ptp", &host_local(&[V4])), limits(), ours()]);
    live(cell, &list, |a, _| is_limited(cell, a));
}

/// bandwidth limits what a container sends by an ingress qdisc, which the kernel gives to one only.
fn ours_then_bandwidth(cell: &Cell) {
    let mut ours = ours_first();
    ours["attach"] = json!("tcx");
    live(cell, &cell.list(&[ours, limits()]), |a, _| is_limited(cell, a));
}

/// Without `"attach": "tcx"` our filter has the ingress qdisc: the container does not start without its limit.
fn ours_by_a_filter_then_bandwidth(cell: &Cell) {
    cell.load_data_plane();
    let list = cell.list(&[ours_first(), limits()]);
    let a = cell.container("a");
    cell.failed(cell.try_add(&list, &a), 999, "file exists");
    cell.del(&list, &a);
    assert_eq!(cell.known_to_the_data_plane(), known(&[]));
    // What it sends is what needs the qdisc; what it receives does not.
    let mut towards = limits();
    for key in ["egressRate", "egressBurst"] {
        towards.as_object_mut().unwrap().remove(key);
    }
    let list = cell.list(&[ours_first(), towards]);
    cell.add(&list, &a);
    assert_eq!(limited(cell.node()).len(), 1);
    cell.del(&list, &a);
    cell.is_clean();
}

fn ptp_then_ours_twice(cell: &Cell) {
    live(cell, &cell.list(&[main_plugin("ptp", &host_local(&[V4])), ours(), ours()]), |_, _| {});
}

fn ptp_firewall_then_ours(cell: &Cell) {
    let firewall = json!({"type": "firewall", "backend": "iptables"});
    live(cell, &cell.list(&[main_plugin("ptp", &host_local(&[V4])), firewall, ours()]), |_, _| {});
}

fn tuning() -> Value {
    json!({"type": "tuning", "sysctl": {"net.core.somaxconn": "500"}, "mtu": 1400})
}

fn is_tuned(container: &Container) {
    assert_eq!(container.run("cat", ["/proc/sys/net/core/somaxconn"]).unwrap().trim(), "500");
    assert_eq!(link(container, "eth0").unwrap()["mtu"], 1400);
}

fn ours_then_tuning(cell: &Cell) {
    live(cell, &cell.list(&[ours_first(), tuning()]), |a, _| is_tuned(a));
}

fn ours_then_portmap_and_tuning(cell: &Cell) {
    let portmap = json!({"type": "portmap", "capabilities": {"portMappings": true}, "backend": "nftables"});
    let list = cell.list(&[ours_first(), portmap, tuning()]);
    let port = |container: Container| {
        let host_port = if container.netns_path().ends_with('a') { 8081 } else { 8082 };
        let mapping = json!([{"hostPort": host_port, "containerPort": 8080, "protocol": "tcp"}]);
        container.capability("portMappings", mapping)
    };
    live_as(cell, &list, port, |a, b| {
        is_tuned(a);
        let _server = b.serve(&["tcp/8080"]).unwrap();
        a.tcp_roundtrip((cell.node().ip4(), 8082), b"hello").unwrap();
    });
}

fn host_local_under_ours(cell: &Cell) {
    let list = cell.list(&[json!({"type": "caracal", "policy": "required", "ipam": host_local(&[V4, V6])})]);
    live(cell, &list, |a, b| {
        assert_eq!(a.ip4().to_string(), "10.1.0.2");
        assert_eq!(b.ip6().to_string(), "fd00:1::3");
    });
}

/// It has one address for all, so one container at a time. Its CHECK wants to see its own gateway, which no container of
/// ours has.
fn static_under_ours(cell: &Cell) {
    cell.load_data_plane();
    let fixed = json!({"type": "static", "addresses": [{"address": "10.1.0.10/24", "gateway": "10.1.0.1"}],
        "routes": [{"dst": "10.96.0.0/12"}], "dns": {"nameservers": ["192.0.2.53"]}});
    let list = cell.list(&[json!({"type": "caracal", "policy": "required", "ipam": fixed})]);
    for name in ["a", "b"] {
        let container = cell.container(name);
        let result = cell.add(&list, &container);
        assert_eq!(result["ips"][0]["address"], "10.1.0.10/32", "{result}");
        assert_eq!(result["ips"][0]["gateway"], "169.254.1.1", "{result}");
        assert_eq!(result["dns"]["nameservers"], json!(["192.0.2.53"]), "{result}");
        cell.node().ping(addresses(&result)[0]).unwrap();
        if cell.since("0.4.0") && cell.kind != Kind::RustCni {
            cell.check(&list, &container).unwrap();
        }
        cell.del(&list, &container);
    }
    assert_eq!(cell.known_to_the_data_plane(), known(&[]));
    cell.is_clean();
}

fn our_ipam_under_ptp(cell: &Cell) {
    our_ipam_under(cell, "ptp");
}

fn our_ipam_under_bridge(cell: &Cell) {
    our_ipam_under(cell, "bridge");
}

fn our_ipam_under(cell: &Cell, kind: &str) {
    let list = cell.list(&[main_plugin(kind, &our_ipam(&[V4])), ours()]);
    live(cell, &list, |a, b| {
        assert_eq!((a.ip4().to_string(), b.ip4().to_string()), ("10.1.0.2".to_owned(), "10.1.0.3".to_owned()));
    });
    let mut without_us = cell.list(&[main_plugin(kind, &our_ipam(&["10.4.0.0/24"]))]);
    without_us["plugins"][0]["bridge"] = json!("cni1");
    let c = cell.container("c").arg("IgnoreUnknown", "1").arg("IP", "10.4.0.44");
    assert_eq!(addresses(&cell.add(&without_us, &c))[0].to_string(), "10.4.0.44");
    if cell.since("0.4.0") && cell.kind != Kind::RustCni {
        cell.check(&without_us, &c).unwrap();
    }
    cell.del(&without_us, &c);
    cell.is_clean();
}

fn our_ipam_fails_under_ptp(cell: &Cell) {
    let list = cell.list(&[main_plugin("ptp", &our_ipam(&["10.1.0.0/30"]))]);
    let (a, b) = (cell.container("a"), cell.container("b"));
    cell.add(&list, &a);
    let said = "no IP addresses available in range set 10.1.0.1-10.1.0.2: 1 in use of 1";
    cell.failed(cell.try_add(&list, &b), 101, said);
    if cell.since("1.1.0") && cell.kind != Kind::RustCni {
        cell.failed(cell.status(&list), 50, said);
    }
    cell.del(&list, &b);
    cell.del(&list, &a);
    cell.is_clean();
}

/// The rest of the list is undone by the runtime's DEL, which has no result to give.
fn a_plugin_after_ours_fails(cell: &Cell) {
    cell.load_data_plane();
    let wrong = json!({"type": "tuning", "sysctl": {"net.core.no_such_setting": "1"}});
    let list = cell.list(&[main_plugin("ptp", &host_local(&[V4])), ours(), wrong]);
    let a = cell.container("a");
    cell.failed(cell.try_add(&list, &a), 999, "no_such_setting");
    assert_eq!(cell.known_to_the_data_plane().len(), 1, "what was made stays until DEL");
    cell.del(&list, &a);
    assert_eq!(cell.known_to_the_data_plane(), known(&[]));
    cell.is_clean();
}
