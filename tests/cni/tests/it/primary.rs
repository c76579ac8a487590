//! The life of a container that our plugin alone attaches.

use caracal_cni_suite::{Cell, Container, Kind, addresses, link, rows};
use caracal_lab::Site as _;
use serde_json::{Value, json};

const V4: &str = "10.1.0.0/24";
const V6: &str = "fd00:1::/64";

rows! {
    add_v4: all, [driver, cnitool, rust_cni];
    add_v6: all, [driver, cnitool, rust_cni];
    add_dual_stack: all, [driver, cnitool, rust_cni];
    mtu_of_both_ends: all, [driver, cnitool, rust_cni];
    a_second_add_is_an_error_and_keeps_the_first: all, [driver, cnitool, rust_cni];
    a_failed_add_leaves_nothing: all, [driver, cnitool, rust_cni];
    two_interfaces_of_one_container: all, [driver, cnitool, rust_cni];
    two_interfaces_beside_the_data_plane: all, [driver];
    del_after_the_namespace_is_gone: all, [driver, cnitool, rust_cni];
    // cnitool always gives a namespace.
    del_without_a_namespace: all, [driver, rust_cni];
    del_of_what_never_was: all, [driver, cnitool, rust_cni];
    del_of_a_veth_that_is_gone: all, [driver, cnitool, rust_cni];
    del_after_a_failed_add: all, [driver, cnitool, rust_cni];
    del_under_a_changed_configuration: all, [driver, cnitool, rust_cni];
    the_configurations_dns_wins_over_the_ipams: all, [driver, cnitool, rust_cni];
}

/// Two containers that reach each other and the host, and are gone without a trace.
fn live(cell: &Cell, subnets: &[&str]) {
    let list = cell.primary(subnets);
    let [a, b] = ["a", "b"].map(|name| cell.container(name));
    let (a_result, b_result) = (cell.add(&list, &a), cell.add(&list, &b));
    let (a, b) = (a.with(&a_result), b.with(&b_result));
    for (container, result) in [(&a, &a_result), (&b, &b_result)] {
        tells_what_is_there(cell, container, result, subnets.len());
    }
    for (from, to) in [(&a, &b), (&b, &a)] {
        for ip in to.addresses() {
            from.ping(*ip).unwrap();
            cell.node().ping(*ip).unwrap();
        }
    }
    for ip in cell.node().addresses() {
        let has_family = a.addresses().iter().any(|own| own.is_ipv4() == ip.is_ipv4());
        assert_eq!(a.ping(*ip).is_ok(), has_family, "{ip}");
    }
    cell.del(&list, &a);
    assert_eq!(link(&a, "eth0").unwrap(), Value::Null);
    cell.del(&list, &a);
    assert!(cell.node().ping(b.addresses()[0]).is_ok(), "the other one lives on");
    cell.del(&list, &b);
    cell.is_clean();
}

/// [host, container] interfaces, the host's without a sandbox, both with hardware addresses; addresses of the second.
fn tells_what_is_there(cell: &Cell, container: &Container, result: &Value, ips: usize) {
    assert_eq!(result["cniVersion"], cell.version.as_str(), "{result}");
    let [host, inside] = result["interfaces"].as_array().unwrap().as_slice() else { panic!("{result}") };
    assert!(host["sandbox"].as_str().unwrap_or_default().is_empty(), "{result}");
    assert_eq!(inside["name"], "eth0");
    assert_eq!(inside["sandbox"], container.netns_path().as_str());
    let outside = link(cell.node(), host["name"].as_str().unwrap()).unwrap();
    let eth0 = link(container, "eth0").unwrap();
    assert_eq!((&outside["address"], &eth0["address"]), (&host["mac"], &inside["mac"]), "{result}");
    assert_eq!((&outside["operstate"], &eth0["operstate"]), (&json!("UP"), &json!("UP")));
    let listed = result["ips"].as_array().unwrap();
    assert_eq!(listed.len(), ips, "{result}");
    assert!(listed.iter().all(|ip| ip["interface"] == 1), "{result}");
    let assigned = eth0["addr_info"].as_array().unwrap();
    for ip in addresses(result) {
        assert!(assigned.iter().any(|info| info["local"] == ip.to_string()), "{ip} in {assigned:?}");
    }
}

fn add_v4(cell: &Cell) {
    live(cell, &[V4]);
}

fn add_v6(cell: &Cell) {
    live(cell, &[V6]);
}

fn add_dual_stack(cell: &Cell) {
    live(cell, &[V4, V6]);
}

fn mtu_of_both_ends(cell: &Cell) {
    let mut list = cell.primary(&[V4]);
    list["plugins"][0]["mtu"] = json!(1380);
    let a = cell.container("a");
    let result = cell.add(&list, &a);
    let outside = link(cell.node(), result["interfaces"][0]["name"].as_str().unwrap()).unwrap();
    assert_eq!((&outside["mtu"], &link(&a, "eth0").unwrap()["mtu"]), (&json!(1380), &json!(1380)));
    cell.del(&list, &a);
    cell.is_clean();
}

fn a_second_add_is_an_error_and_keeps_the_first(cell: &Cell) {
    let list = cell.primary(&[V4]);
    let a = cell.container("a");
    let result = cell.add(&list, &a);
    cell.failed(cell.try_add(&list, &a), 100, "is attached already");
    cell.node().ping(addresses(&result)[0]).unwrap();
    let b = cell.container("b");
    assert_ne!(addresses(&cell.add(&list, &b)), addresses(&result));
    cell.del(&list, &a);
    cell.del(&list, &b);
    cell.is_clean();
}

fn a_failed_add_leaves_nothing(cell: &Cell) {
    let list = cell.primary(&[V4, V6]);
    let a = cell.container("a");
    a.run("ip", ["link", "add", "eth0", "type", "veth", "peer", "name", "other"]).unwrap();
    cell.failed(cell.try_add(&list, &a), 4, "the container has an interface eth0 already");
    cell.is_clean();
    a.run("ip", ["link", "delete", "eth0"]).unwrap();
    let nowhere = cell.container("gone");
    nowhere.end().unwrap();
    cell.failed(cell.try_add(&list, &nowhere), 4, "CNI_NETNS");
    cell.is_clean();
    // The first address that was taken is not lost: it comes round again when the others are used.
    cell.add(&list, &a);
    cell.del(&list, &a);
    cell.is_clean();
}

/// Each address answers by the interface that it belongs to, which is the only one that the host takes it from.
fn two_interfaces_of_one_container(cell: &Cell) {
    let list = cell.primary(&[V4, V6]);
    let eth0 = cell.container("a");
    let eth1 = eth0.by("eth1");
    let (first, second) = (cell.add(&list, &eth0), cell.add(&list, &eth1));
    let neighbour = cell.container("b");
    cell.add(&list, &neighbour);
    for address in [addresses(&first), addresses(&second)].concat() {
        cell.node().ping(address).unwrap();
        neighbour.ping(address).unwrap();
    }
    if cell.since("0.4.0") && cell.kind != Kind::RustCni {
        cell.check(&list, &eth0).unwrap();
        cell.check(&list, &eth1).unwrap();
    }
    cell.del(&list, &eth0);
    assert_eq!(link(&eth0, "eth0").unwrap(), Value::Null);
    for address in addresses(&second) {
        cell.node().ping(address).unwrap();
    }
    for node in cell.node().addresses() {
        eth1.ping(*node).unwrap();
    }
    if cell.since("0.4.0") && cell.kind != Kind::RustCni {
        cell.check(&list, &eth1).unwrap();
    }
    let rules = || ["-4", "-6"].map(|family| eth1.run("ip", [family, "rule", "show"]).unwrap()).concat();
    let mentioned =
        || addresses(&second).iter().filter(|address| rules().contains(&format!("from {address} "))).count();
    assert_eq!(mentioned(), 2, "{}", rules());
    cell.del(&list, &eth1);
    assert_eq!(mentioned(), 0, "{}", rules());
    cell.del(&list, &neighbour);
    cell.is_clean();
}

/// The programs let packets pass from an address by its own interface only, as the host's stack does.
fn two_interfaces_beside_the_data_plane(cell: &Cell) {
    cell.load_data_plane();
    two_interfaces_of_one_container(cell);
}

fn del_after_the_namespace_is_gone(cell: &Cell) {
    let list = cell.primary(&[V4, V6]);
    let a = cell.container("a");
    cell.add(&list, &a);
    a.end().unwrap();
    cell.del(&list, &a);
    cell.del(&list, &a);
    cell.is_clean();
}

fn del_without_a_namespace(cell: &Cell) {
    let list = cell.primary(&[V4, V6]);
    let a = cell.container("a");
    cell.add(&list, &a);
    cell.del(&list, &a.without_netns());
    assert_eq!(link(&a, "eth0").unwrap(), Value::Null, "the link is the node's to find");
    cell.is_clean();
}

fn del_of_what_never_was(cell: &Cell) {
    let list = cell.primary(&[V4]);
    cell.del(&list, &cell.container("a"));
    let gone = cell.container("b");
    gone.end().unwrap();
    cell.del(&list, &gone);
    cell.is_clean();
}

fn del_of_a_veth_that_is_gone(cell: &Cell) {
    let list = cell.primary(&[V4]);
    let a = cell.container("a");
    cell.add(&list, &a);
    a.run("ip", ["link", "delete", "eth0"]).unwrap();
    cell.del(&list, &a);
    cell.is_clean();
}

fn del_after_a_failed_add(cell: &Cell) {
    // A list whose second plugin fails: no runtime has a result of it to give to DEL.
    cell.script("refuse", r#"cat >/dev/null; [ "$CNI_COMMAND" = VERSION ] && exec echo '{"cniVersion":"1.1.0","supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}'; [ "$CNI_COMMAND" != ADD ] && exit 0; echo '{"cniVersion":"1.0.0","code":123,"msg":"not today"}'; exit 1"#);
    let mut list = cell.primary(&[V4]);
    list["plugins"].as_array_mut().unwrap().push(json!({"type": "refuse"}));
    let a = cell.container("a");
    cell.failed(cell.try_add(&list, &a), 123, "not today");
    assert_ne!(link(&a, "eth0").unwrap(), Value::Null, "the first plugin has done its part");
    cell.del(&list, &a);
    cell.is_clean();
}

fn del_under_a_changed_configuration(cell: &Cell) {
    let list = cell.primary(&[V4]);
    let a = cell.container("a");
    cell.add(&list, &a);
    let mut changed = cell.primary(&["10.99.0.0/24"]);
    changed["plugins"][0]["mtu"] = json!("large");
    changed["plugins"][0]["policy"] = json!("required");
    cell.del(&changed, &a);
    cell.is_clean();
}

fn the_configurations_dns_wins_over_the_ipams(cell: &Cell) {
    let resolv_conf = "/etc/caracal-resolv.conf";
    cell.node().machine().write_file(resolv_conf, "nameserver 192.0.2.53\nsearch a.example b.example\n").unwrap();
    let mut list = cell.primary(&[V4]);
    list["plugins"][0]["ipam"]["resolvConf"] = json!(resolv_conf);
    let a = cell.container("a");
    let ipams = cell.add(&list, &a)["dns"].clone();
    assert_eq!((&ipams["nameservers"], &ipams["search"]), (&json!(["192.0.2.53"]), &json!(["a.example", "b.example"])));
    cell.del(&list, &a);
    for (dns, nameservers) in [(json!({"nameservers": ["198.51.100.53"]}), 1), (json!({"nameservers": []}), 0)] {
        list["plugins"][0]["dns"] = dns;
        let own = cell.add(&list, &a)["dns"].clone();
        assert_eq!(own["nameservers"].as_array().map_or(0, Vec::len), nameservers, "{own}");
        assert_eq!(own["search"].as_array().map_or(0, Vec::len), 0, "{own}");
        cell.del(&list, &a);
    }
    cell.is_clean();
}
