//! What plugins are known to get wrong, one row each. Missing here are: results in a newer shape than the list's, errors
//! with status 0 and two documents on standard output, which the strict driver refuses in every row; interrupted
//! netlink dumps, which `cni-plugin` tests where they are read; log directories, since there are none.

use std::thread;

use caracal_cni_suite::{Cell, addresses, link, rows};
use caracal_lab::Site as _;
use serde_json::{Value, json};

const SUBNET: &str = "10.1.0.0/24";

rows! {
    foreign_fields_of_a_previous_result_are_kept: all, [driver];
    a_previous_result_without_interface_numbers: all, [driver];
    a_previous_result_with_foreign_interfaces: all, [driver];
    del_needs_a_name_and_no_more: all, [driver];
    unknown_arguments_are_ignored: all, [driver, cnitool, rust_cni];
    a_failed_later_step_gives_the_address_back: all, [driver, cnitool, rust_cni];
    a_slow_ipam_holds_nobody_else_up: all, [driver];
    del_spares_the_interface_of_somebody_else: all, [driver, cnitool, rust_cni];
    records_cut_short_are_no_leak: all, [driver, cnitool, rust_cni];
    a_pod_is_tried_again_under_another_id: all, [driver, rust_cni];
    many_at_once: all, [driver, cnitool, rust_cni];
    a_plugin_that_is_not_chained_says_so: all, [driver, cnitool, rust_cni];
    capabilities_that_are_not_declared_do_not_arrive: all, [driver, cnitool];
}

/// A link for a container that no plugin made, as a vendor's would; the list then begins with the vendor.
fn vendor(cell: &Cell, result: &Value) -> Value {
    let script = format!(
        r#"cat >/dev/null; case $CNI_COMMAND in
           ADD) ip link add "v$CNI_IFNAME" type veth peer name tmp1
                ip link set tmp1 netns "$CNI_NETNS" name "$CNI_IFNAME"
                ip -n "${{CNI_NETNS##*/}}" address add 10.3.0.2/24 dev "$CNI_IFNAME"
                ip -n "${{CNI_NETNS##*/}}" link set "$CNI_IFNAME" up
                ip link set "v$CNI_IFNAME" up
                echo '{result}';;
           DEL) ip link delete "v$CNI_IFNAME" 2>/dev/null; exit 0;;
           VERSION) echo '{{"cniVersion":"1.1.0","supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}}';;
           esac"#
    );
    cell.script("vendor", &script);
    cell.list(&[json!({"type": "vendor"}), json!({"type": "caracal"})])
}

/// An address entry in the shape of the cell's version.
fn ip_entry(cell: &Cell) -> Value {
    let mut ip = json!({"address": "10.3.0.2/24"});
    if !cell.since("1.0.0") {
        ip["version"] = json!("4");
    }
    ip
}

/// The vendor's result goes through our plugin as it came.
fn goes_through(cell: &Cell, result: &Value) {
    let list = vendor(cell, result);
    let a = cell.container("a");
    assert_eq!(cell.add(&list, &a), *result);
    if cell.since("0.4.0") {
        cell.check(&list, &a).unwrap();
    }
    cell.del(&list, &a);
    cell.is_clean();
}

fn foreign_fields_of_a_previous_result_are_kept(cell: &Cell) {
    let mut ip = ip_entry(cell);
    ip["lease"] = json!({"seconds": 18_446_744_073_709_551_615_u64});
    goes_through(
        cell,
        &json!({
            "cniVersion": cell.version, "zeta": [1.5, null], "ips": [ip], "interfaces": [{"name": "eth0", "numa": 1}],
            "routes": [{"dst": "0.0.0.0/0", "gw": "10.3.0.1", "encap": "none"}], "dns": {"options": ["ndots:5"]},
        }),
    );
}

/// As azure-vnet's: one interface without a sandbox, and addresses of none.
fn a_previous_result_without_interface_numbers(cell: &Cell) {
    goes_through(
        cell,
        &json!({
            "cniVersion": cell.version, "interfaces": [{"name": "eth0"}], "ips": [ip_entry(cell)], "dns": {},
        }),
    );
}

fn a_previous_result_with_foreign_interfaces(cell: &Cell) {
    let mut ip = ip_entry(cell);
    ip["interface"] = json!(2);
    let interfaces = json!([{"name": "ifb0"}, {"name": "veth"}, {"name": "eth0", "sandbox": "/run/netns/a"}, {"name": "eth1", "sandbox": "/run/netns/a"}]);
    goes_through(cell, &json!({"cniVersion": cell.version, "interfaces": interfaces, "ips": [ip]}));
}

fn del_needs_a_name_and_no_more(cell: &Cell) {
    let list = cell.primary(&[SUBNET]);
    let a = cell.container("a");
    cell.add(&list, &a);
    a.end().unwrap();
    let env = [("CNI_CONTAINERID", "id-a"), ("CNI_IFNAME", "eth0"), ("CNI_PATH", "")];
    let stdin = json!({"cniVersion": cell.version, "name": "net", "type": "caracal", "prevResult": [], "runtimeConfig": 7, "ipam": "x"});
    let run = cell.call("DEL", &env, &stdin.to_string());
    assert!(run.status.success() && run.stdout.is_empty(), "{run:?}");
    cell.is_clean();
}

fn unknown_arguments_are_ignored(cell: &Cell) {
    let list = cell.primary(&[SUBNET]);
    let a = cell.container("a").arg("K8S_POD_UID", "1-2").arg("Whatever", "x").arg("K8S_POD_NAME", "a");
    cell.add(&list, &a);
    cell.del(&list, &a);
    cell.is_clean();
}

fn a_failed_later_step_gives_the_address_back(cell: &Cell) {
    let mut list = cell.primary(&["10.1.0.0/30"]);
    list["plugins"][0]["ipam"]["routes"] = json!([{"dst": "10.9.0.0/16"}, {"dst": "10.9.0.0/16"}]);
    let a = cell.container("a");
    for _ in 0..2 {
        cell.failed(cell.try_add(&list, &a), 102, "10.9.0.0/16");
        cell.is_clean();
    }
    list["plugins"][0]["ipam"]["routes"] = json!([]);
    cell.add(&list, &a);
    cell.del(&list, &a);
}

/// The first container's IPAM answers only when the second container is there.
fn a_slow_ipam_holds_nobody_else_up(cell: &Cell) {
    cell.script(
        "slow",
        r#"cat >/dev/null; [ "$CNI_COMMAND" = ADD ] || exit 0
           if [ "$CNI_CONTAINERID" = id-a ]; then cat /run/gate >/dev/null; n=8; else n=9; fi
           echo "{\"ips\":[{\"address\":\"10.1.0.$n/24\"}]}""#,
    );
    cell.node().run("mkfifo", ["/run/gate"]).unwrap();
    let list = cell.list(&[json!({"type": "caracal", "ipam": {"type": "slow"}})]);
    let (a, b) = (cell.container("a"), cell.container("b"));
    let driver = cell.node().cni();
    let net = caracal_lab::cni::Network::from_list(&list).unwrap();
    thread::scope(|scope| {
        let slow = scope.spawn(|| driver.add(&net, &a.attachment).unwrap().result);
        let quick = cell.add(&list, &b);
        // Opening the gate waits for the one who reads from it.
        cell.node().run("sh", ["-c", "echo >/run/gate"]).unwrap();
        assert_ne!(addresses(&slow.join().unwrap()), addresses(&quick));
    });
    cell.del(&list, &a);
    cell.del(&list, &b);
    cell.is_clean();
}

/// The host's end has been replaced by a link of the same name that is not ours to delete.
fn del_spares_the_interface_of_somebody_else(cell: &Cell) {
    let list = cell.primary(&[SUBNET]);
    let a = cell.container("a");
    let name = cell.add(&list, &a)["interfaces"][0]["name"].as_str().unwrap().to_owned();
    a.run("ip", ["link", "delete", "eth0"]).unwrap();
    cell.node().run("ip", ["link", "add", &name, "type", "veth", "peer", "name", "peer0"]).unwrap();
    cell.del(&list, &a);
    assert_ne!(link(cell.node(), &name).unwrap(), Value::Null, "it was made by somebody else");
    cell.node().run("ip", ["link", "delete", &name]).unwrap();
    cell.is_clean();
}

/// As a full disk leaves them. The address store's own are written before they have a name.
fn records_cut_short_are_no_leak(cell: &Cell) {
    let list = cell.primary(&["10.1.0.0/30"]);
    let a = cell.container("a");
    let cut = "for f in $(find /run/caracal/endpoints -type f); do : >$f; done";
    cell.add(&list, &a);
    cell.node().run("sh", ["-c", cut]).unwrap();
    cell.del(&list, &a);
    assert_eq!(link(&a, "eth0").unwrap(), Value::Null);
    cell.is_clean();
    cell.add(&list, &a);
    cell.del(&list, &a);
    cell.is_clean();
}

/// kubelet's second try of a pod is another container to the plugin, and the first gets its DEL in between or later.
fn a_pod_is_tried_again_under_another_id(cell: &Cell) {
    let list = cell.primary(&[SUBNET]);
    let pod = |name: &str| cell.container(name).arg("K8S_POD_NAMESPACE", "default").arg("K8S_POD_NAME", "web-0");
    let (first, second) = (pod("first"), pod("second"));
    cell.add(&list, &first);
    let result = cell.add(&list, &second);
    cell.del(&list, &first);
    cell.node().ping(addresses(&result)[0]).unwrap();
    cell.del(&list, &second);
    cell.is_clean();
}

fn many_at_once(cell: &Cell) {
    let list = cell.primary(&[SUBNET]);
    let containers: Vec<_> = (0..8).map(|n| cell.container(&format!("c{n}"))).collect();
    // Runtimes read a file that the first call has written; it is the same for all.
    let first = cell.container("first");
    cell.add(&list, &first);
    let node = cell.node();
    let kind = cell.kind;
    let mut given: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = containers
            .iter()
            .map(|container| scope.spawn(|| addresses(&kind.runtime().add(node, &list, container).unwrap())[0]))
            .collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    given.sort_unstable();
    given.dedup();
    assert_eq!(given.len(), containers.len(), "each has its own: {given:?}");
    cell.del_all(&list, &containers);
    cell.del(&list, &first);
    cell.is_clean();
}

fn a_plugin_that_is_not_chained_says_so(cell: &Cell) {
    let list = cell.list(&[json!({"type": "caracal"})]);
    cell.failed(cell.try_add(&list, &cell.container("a")), 7, "ipam: is missing");
    cell.is_clean();
}

/// The runtime has an address for it, but the list does not let it through.
fn capabilities_that_are_not_declared_do_not_arrive(cell: &Cell) {
    let list = cell.primary(&[SUBNET]);
    let a =
        cell.container("a").capability("ips", json!(["10.1.0.77/24"])).capability("mac", json!("02:00:00:00:00:01"));
    let result = cell.add(&list, &a);
    assert_eq!(addresses(&result)[0].to_string(), "10.1.0.2");
    assert_ne!(result["interfaces"][1]["mac"], "02:00:00:00:00:01");
    cell.del(&list, &a);
    cell.is_clean();
}
