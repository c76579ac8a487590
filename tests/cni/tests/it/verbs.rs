//! CHECK, GC and STATUS.

use caracal_cni_suite::{Cell, addresses, link, rows};
use caracal_lab::Site as _;
use serde_json::{Value, json};

const V4: &str = "10.1.0.0/24";
const V6: &str = "fd00:1::/64";

rows! {
    // rust-cni has forgotten the result by then.
    check_passes_after_add: since_0_4_0, [driver, cnitool];
    check_misses_what_is_gone: since_0_4_0, [driver, cnitool];
    check_changes_nothing: since_0_4_0, [driver, cnitool];
    check_bears_what_others_add: since_0_4_0, [driver, cnitool];
    check_after_del_fails: since_0_4_0, [driver];
    check_that_is_disabled_is_not_done: since_0_4_0, [driver, cnitool];
    check_without_a_result_is_an_error: since_0_4_0, [driver];
    gc_releases_all_but_the_valid: since_1_1_0, [driver];
    gc_leaves_other_networks_alone: since_1_1_0, [driver];
    gc_finds_what_no_runtime_remembers: since_1_1_0, [driver];
    // cnitool has no list to give: what its own cache knows gets a DEL, then our plugin refuses.
    gc_without_a_list_spares_what_it_cannot_judge: since_1_1_0, [cnitool];
    status_is_ready: since_1_1_0, [driver, cnitool];
    status_50_when_no_address_is_left: since_1_1_0, [driver, cnitool];
    status_50_without_the_data_plane_that_is_required: since_1_1_0, [driver, cnitool];
    status_of_a_configuration_that_makes_no_sense: since_1_1_0, [driver, cnitool];
    status_and_gc_reach_the_ipam: since_1_1_0, [driver];
}

fn check_passes_after_add(cell: &Cell) {
    let list = cell.primary(&[V4, V6]);
    let a = cell.container("a");
    cell.add(&list, &a);
    cell.check(&list, &a).unwrap();
    cell.check(&list, &a).unwrap();
    cell.del(&list, &a);
    cell.is_clean();
}

/// Each of these ends what ADD made in another place.
fn check_misses_what_is_gone(cell: &Cell) {
    let list = cell.primary(&[V4]);
    for (broken, said) in [
        ("ip address flush dev eth0", "address 10.1.0."),
        ("ip route delete default", "route to 0.0.0.0/0 is gone"),
        ("ip link set eth0 down", "eth0"),
        ("ip link set eth0 down; ip link set eth0 address 02:00:00:00:00:77; ip link set eth0 up", "hardware address"),
        ("ip link set eth0 down; ip link set eth0 name eth7", "no interface eth0"),
        ("ip link delete eth0", "no link cc"),
    ] {
        let a = cell.container("a");
        cell.add(&list, &a);
        a.run("sh", ["-c", broken]).unwrap();
        cell.failed(cell.check(&list, &a), 104, said);
        cell.del(&list, &a);
        a.end().unwrap();
        cell.is_clean();
    }
    let a = cell.container("a");
    cell.add(&list, &a);
    cell.node().run("sh", ["-c", "rm -r /run/caracal/ipam"]).unwrap();
    cell.failed(cell.check(&list, &a), 104, "holds no address");
    a.end().unwrap();
    let outcome = cell.check(&list, &a);
    assert!(outcome.is_err(), "its namespace is gone");
    cell.del(&list, &a);
    cell.is_clean();
}

fn check_changes_nothing(cell: &Cell) {
    let list = cell.primary(&[V4]);
    let a = cell.container("a");
    cell.add(&list, &a);
    a.run("ip", ["route", "delete", "default"]).unwrap();
    for _ in 0..2 {
        cell.failed(cell.check(&list, &a), 104, "route to 0.0.0.0/0 is gone");
    }
    cell.del(&list, &a);
}

fn check_bears_what_others_add(cell: &Cell) {
    let list = cell.primary(&[V4, V6]);
    let a = cell.container("a");
    cell.add(&list, &a);
    let more = "ip address add 192.0.2.1/32 dev eth0; ip route add 192.0.2.128/25 dev eth0; \
                ip link add extra type veth peer name extra2; ip link set eth0 mtu 1400";
    a.run("sh", ["-c", more]).unwrap();
    cell.check(&list, &a).unwrap();
    cell.del(&list, &a);
    cell.is_clean();
}

fn check_after_del_fails(cell: &Cell) {
    let list = cell.primary(&[V4]);
    let a = cell.container("a");
    let result = cell.add(&list, &a);
    cell.del(&list, &a);
    let mut conf = list["plugins"][0].clone();
    for (key, value) in [("name", &list["name"]), ("cniVersion", &list["cniVersion"]), ("prevResult", &result)] {
        conf[key] = value.clone();
    }
    let netns = a.netns_path();
    let env = [("CNI_CONTAINERID", "id-a"), ("CNI_IFNAME", "eth0"), ("CNI_NETNS", netns.as_str())];
    let run = cell.call("CHECK", &env, &conf.to_string());
    let error: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&error["code"], run.status.success()), (&json!(104), false), "{error}");
}

fn check_that_is_disabled_is_not_done(cell: &Cell) {
    let mut list = cell.primary(&[V4]);
    list["disableCheck"] = json!(true);
    let a = cell.container("a");
    cell.add(&list, &a);
    a.run("ip", ["link", "delete", "eth0"]).unwrap();
    cell.check(&list, &a).unwrap();
    cell.del(&list, &a);
}

fn check_without_a_result_is_an_error(cell: &Cell) {
    let list = cell.primary(&[V4]);
    let a = cell.container("a");
    cell.add(&list, &a);
    let mut conf = list["plugins"][0].clone();
    conf["name"] = list["name"].clone();
    conf["cniVersion"] = list["cniVersion"].clone();
    let netns = a.netns_path();
    let env = [("CNI_CONTAINERID", "id-a"), ("CNI_IFNAME", "eth0"), ("CNI_NETNS", netns.as_str())];
    let run = cell.call("CHECK", &env, &conf.to_string());
    let error: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(error["code"], 7, "{error}");
    assert!(error["msg"].as_str().unwrap().starts_with("prevResult"), "{error}");
    cell.del(&list, &a);
}

fn gc_releases_all_but_the_valid(cell: &Cell) {
    let list = cell.primary(&[V4, V6]);
    let [a, b, c] = ["a", "b", "c"].map(|name| cell.container(name));
    for container in [&a, &b, &c] {
        cell.add(&list, container);
    }
    c.end().unwrap();
    cell.gc(&list, &[&b]).unwrap();
    assert_eq!(link(&a, "eth0").unwrap(), Value::Null);
    assert_ne!(link(&b, "eth0").unwrap(), Value::Null);
    cell.check(&list, &b).unwrap();
    cell.gc(&list, &[&b]).unwrap();
    cell.del(&list, &b);
    cell.is_clean();
}

fn gc_leaves_other_networks_alone(cell: &Cell) {
    let list = cell.primary(&[V4]);
    let mut other = cell.primary(&["10.2.0.0/24"]);
    other["name"] = json!("other");
    let a = cell.container("a");
    let eth1 = a.by("eth1");
    cell.add(&list, &a);
    cell.add(&other, &eth1);
    cell.gc(&list, &[]).unwrap();
    assert_eq!(link(&a, "eth0").unwrap(), Value::Null);
    assert_ne!(link(&a, "eth1").unwrap(), Value::Null);
    cell.check(&other, &eth1).unwrap();
    cell.del(&other, &eth1);
    cell.is_clean();
}

/// A runtime that lost its cache sends no DEL first; the plugin goes by what it wrote down itself.
fn gc_finds_what_no_runtime_remembers(cell: &Cell) {
    let list = cell.primary(&[V4]);
    let a = cell.container("a");
    cell.add(&list, &a);
    cell.node().run("sh", ["-c", "rm -r /var/lib/cni/results"]).unwrap();
    cell.gc(&list, &[]).unwrap();
    assert_eq!(link(&a, "eth0").unwrap(), Value::Null);
    cell.is_clean();
}

fn gc_without_a_list_spares_what_it_cannot_judge(cell: &Cell) {
    let list = cell.primary(&[V4]);
    let (known, unknown) = (cell.container("a"), cell.container("b"));
    cell.add(&list, &unknown);
    cell.node().run("sh", ["-c", "rm -r /var/lib/cni/results"]).unwrap();
    cell.add(&list, &known);
    cell.failed(cell.gc(&list, &[]), 7, "cni.dev/valid-attachments: is missing");
    assert_eq!(link(&known, "eth0").unwrap(), Value::Null, "libcni's own DEL");
    assert_ne!(link(&unknown, "eth0").unwrap(), Value::Null);
    cell.del(&list, &unknown);
    cell.is_clean();
}

fn status_is_ready(cell: &Cell) {
    let list = cell.primary(&[V4, V6]);
    cell.status(&list).unwrap();
    let a = cell.container("a");
    cell.add(&list, &a);
    cell.status(&list).unwrap();
    cell.del(&list, &a);
    cell.is_clean();
}

fn status_50_when_no_address_is_left(cell: &Cell) {
    let list = cell.primary(&["10.1.0.0/30"]);
    let a = cell.container("a");
    cell.add(&list, &a);
    cell.failed(cell.status(&list), 50, "no IP addresses available in range set 10.1.0.1-10.1.0.2");
    cell.del(&list, &a);
    cell.status(&list).unwrap();
}

fn status_50_without_the_data_plane_that_is_required(cell: &Cell) {
    let mut list = cell.primary(&[V4]);
    list["plugins"][0]["policy"] = json!("required");
    cell.failed(cell.status(&list), 50, "caracal-agent pins it");
    let a = cell.container("a");
    cell.failed(cell.try_add(&list, &a), 11, "caracal-agent pins it");
    cell.is_clean();
}

fn status_of_a_configuration_that_makes_no_sense(cell: &Cell) {
    let mut list = cell.primary(&[V4]);
    list["plugins"][0]["ipam"]["ranges"] = json!([]);
    cell.failed(cell.status(&list), 7, "ipam.ranges");
}

/// The IPAM of this list writes down what it is asked, and refuses STATUS in words of its own.
fn status_and_gc_reach_the_ipam(cell: &Cell) {
    cell.script(
        "noting",
        r#"conf=$(cat); echo "$CNI_COMMAND $conf" >>/run/noted
           case $CNI_COMMAND in
           ADD) echo '{"cniVersion":"1.1.0","ips":[{"address":"10.1.0.9/24"}]}';;
           STATUS) echo '{"cniVersion":"1.1.0","code":50,"msg":"the pool is being moved"}'; exit 1;;
           esac"#,
    );
    let list = cell.list(&[json!({"type": "caracal", "ipam": {"type": "noting", "its": "own"}})]);
    cell.failed(cell.status(&list), 50, "the pool is being moved");
    let a = cell.container("a");
    assert_eq!(addresses(&cell.add(&list, &a))[0].to_string(), "10.1.0.9");
    cell.gc(&list, &[&a]).unwrap();
    cell.check(&list, &a).unwrap();
    cell.del(&list, &a);
    let noted = String::from_utf8(cell.node().machine().read_file("/run/noted").unwrap()).unwrap();
    let verbs: Vec<_> = noted.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(verbs, ["STATUS", "ADD", "GC", "CHECK", "DEL"]);
    let valid = noted.lines().nth(2).unwrap();
    assert!(valid.contains(r#""cni.dev/valid-attachments":[{"containerID":"id-a","ifname":"eth0"}]"#), "{valid}");
    assert!(noted.lines().all(|line| line.contains(r#""its":"own""#)), "{noted}");
    cell.is_clean();
}
