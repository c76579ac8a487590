//! Addresses: what host-local's users are used to, from our own IPAM inside the plugin.

use std::net::IpAddr;

use caracal_cni_suite::{Cell, Container, Kind, addresses, rows};
use caracal_lab::Site as _;
use serde_json::{Value, json};

rows! {
    one_address_of_each_set_in_order: all, [driver, cnitool, rust_cni];
    one_subnet_beside_the_other_keys: all, [driver, cnitool, rust_cni];
    round_robin_without_gateway_and_network: all, [driver, cnitool, rust_cni];
    the_next_range_when_one_is_full: all, [driver, cnitool, rust_cni];
    the_runtimes_ranges_come_first: all, [driver, cnitool];
    an_address_asked_for_in_cni_args: all, [driver, cnitool, rust_cni];
    an_address_asked_for_by_capability_wins: all, [driver, cnitool];
    an_address_asked_for_in_the_configuration: all, [driver, cnitool, rust_cni];
    addresses_nobody_can_have_roll_back: all, [driver, cnitool, rust_cni];
    a_full_pool_is_an_error_that_says_so: all, [driver, cnitool, rust_cni];
    one_full_set_gives_nothing_of_the_others: all, [driver, cnitool, rust_cni];
    ranges_that_are_none: all, [driver];
    a_gateway_outside_of_the_subnet: all, [driver, cnitool];
    data_dir: all, [driver, cnitool, rust_cni];
    a_resolver_file_that_is_not_there: all, [driver, cnitool, rust_cni];
    other_ipams_give_addresses: all, [driver, cnitool, rust_cni];
    an_ipam_without_a_result_is_an_error_and_gets_a_del: all, [driver, cnitool, rust_cni];
    an_ipam_that_is_not_there: all, [driver, cnitool, rust_cni];
}

fn of(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// ADD of `count` containers, and their first addresses.
fn add_many(cell: &Cell, list: &Value, count: usize) -> (Vec<Container>, Vec<IpAddr>) {
    let containers: Vec<_> = (0..count).map(|n| cell.container(&format!("many{n}"))).collect();
    let given = containers.iter().map(|container| addresses(&cell.add(list, container))[0]).collect();
    (containers, given)
}

fn ranges(cell: &Cell, ranges: Value) -> Value {
    let mut list = cell.primary(&[]);
    list["plugins"][0]["ipam"]["ranges"] = ranges;
    list
}

fn one_address_of_each_set_in_order(cell: &Cell) {
    let list = cell.primary(&["fd00:1::/64", "10.1.0.0/24", "10.2.0.0/24"]);
    let a = cell.container("a");
    let result = cell.add(&list, &a);
    assert_eq!(addresses(&result), of(&["fd00:1::2", "10.1.0.2", "10.2.0.2"]));
    cell.del(&list, &a);
    cell.is_clean();
}

fn one_subnet_beside_the_other_keys(cell: &Cell) {
    let ipam = json!({"type": "caracal-ipam", "subnet": "10.1.0.0/24", "rangeStart": "10.1.0.50",
        "ranges": [[{"subnet": "10.2.0.0/24"}]]});
    let list = cell.list(&[json!({"type": "caracal", "ipam": ipam})]);
    let a = cell.container("a");
    assert_eq!(addresses(&cell.add(&list, &a)), of(&["10.1.0.50", "10.2.0.2"]));
    cell.del(&list, &a);
    cell.is_clean();
}

/// Of 10.1.0.0/29 are to be had 2 to 6: 0 is the network, 1 the gateway, 7 the broadcast address.
fn round_robin_without_gateway_and_network(cell: &Cell) {
    let list = cell.primary(&["10.1.0.0/29"]);
    let (containers, given) = add_many(cell, &list, 5);
    assert_eq!(given, of(&["10.1.0.2", "10.1.0.3", "10.1.0.4", "10.1.0.5", "10.1.0.6"]));
    cell.del_all(&list, &containers);
    let a = cell.container("a");
    assert_eq!(addresses(&cell.add(&list, &a)), of(&["10.1.0.2"]), "it goes round");
    cell.del(&list, &a);
    let b = cell.container("b");
    assert_ne!(addresses(&cell.add(&list, &b)), of(&["10.1.0.2"]), "what was just given back comes last");
    cell.del(&list, &b);
    cell.is_clean();
}

fn the_next_range_when_one_is_full(cell: &Cell) {
    let list = ranges(cell, json!([[{"subnet": "10.1.0.0/30"}, {"subnet": "10.2.0.0/30"}]]));
    let (containers, given) = add_many(cell, &list, 2);
    assert_eq!(given, of(&["10.1.0.2", "10.2.0.2"]));
    cell.del_all(&list, &containers);
    cell.is_clean();
}

fn the_runtimes_ranges_come_first(cell: &Cell) {
    let mut list = cell.primary(&["10.1.0.0/24"]);
    list["plugins"][0]["capabilities"] = json!({"ipRanges": true});
    let a = cell.container("a").capability("ipRanges", json!([[{"subnet": "10.9.0.0/24"}]]));
    assert_eq!(addresses(&cell.add(&list, &a)), of(&["10.9.0.2", "10.1.0.2"]));
    cell.del(&list, &a);
    cell.is_clean();
}

fn an_address_asked_for_in_cni_args(cell: &Cell) {
    let list = cell.primary(&["10.1.0.0/24", "10.2.0.0/24"]);
    let a = cell.container("a").arg("IgnoreUnknown", "1").arg("IP", "10.2.0.77");
    assert_eq!(addresses(&cell.add(&list, &a)), of(&["10.1.0.2", "10.2.0.77"]));
    cell.del(&list, &a);
    let b = cell.container("b").arg("IP", "10.1.0.78/24,10.2.0.78");
    assert_eq!(addresses(&cell.add(&list, &b)), of(&["10.1.0.78", "10.2.0.78"]));
    cell.del(&list, &b);
    cell.is_clean();
}

fn an_address_asked_for_by_capability_wins(cell: &Cell) {
    let mut list = cell.primary(&["10.1.0.0/24"]);
    list["plugins"][0]["capabilities"] = json!({"ips": true});
    list["plugins"][0]["args"] = json!({"cni": {"ips": ["10.1.0.20"]}});
    let a = cell.container("a").arg("IP", "10.1.0.30").capability("ips", json!(["10.1.0.10/24"]));
    assert_eq!(addresses(&cell.add(&list, &a)), of(&["10.1.0.10"]));
    cell.del(&list, &a);
    cell.is_clean();
}

fn an_address_asked_for_in_the_configuration(cell: &Cell) {
    let mut list = cell.primary(&["10.1.0.0/24"]);
    list["plugins"][0]["args"] = json!({"cni": {"ips": ["10.1.0.20"]}});
    let a = cell.container("a").arg("IP", "10.1.0.30");
    assert_eq!(addresses(&cell.add(&list, &a)), of(&["10.1.0.20"]));
    cell.del(&list, &a);
    cell.is_clean();
}

fn addresses_nobody_can_have_roll_back(cell: &Cell) {
    let list = cell.primary(&["10.1.0.0/24", "10.2.0.0/24"]);
    let holder = cell.container("holder").arg("IP", "10.2.0.9");
    cell.add(&list, &holder);
    let wishes = [("10.9.0.1", "is in no range"), ("10.2.0.1", "is a gateway"), ("10.2.0.9", "is in use")];
    for (n, (ip, said)) in wishes.into_iter().enumerate() {
        let a = cell.container(&format!("wish{n}")).arg("IP", ip);
        cell.failed(cell.try_add(&list, &a), 101, said);
    }
    // One more than there are sets for.
    let a = cell.container("greedy").arg("IP", "10.1.0.50,10.1.0.51");
    cell.failed(cell.try_add(&list, &a), 101, "10.1.0.51");
    cell.del(&list, &holder);
    cell.is_clean();
}

fn a_full_pool_is_an_error_that_says_so(cell: &Cell) {
    let list = cell.primary(&["10.1.0.0/30"]);
    let (a, b) = (cell.container("a"), cell.container("b"));
    cell.add(&list, &a);
    cell.failed(
        cell.try_add(&list, &b),
        101,
        "no IP addresses available in range set 10.1.0.1-10.1.0.2: 1 in use of 1",
    );
    cell.del(&list, &b);
    cell.del(&list, &a);
    assert_eq!(addresses(&cell.add(&list, &b)), of(&["10.1.0.2"]), "rest or no rest, it is the only one");
    cell.del(&list, &b);
    cell.is_clean();
}

fn one_full_set_gives_nothing_of_the_others(cell: &Cell) {
    let list = cell.primary(&["10.1.0.0/24", "10.2.0.0/30"]);
    let (a, b) = (cell.container("a"), cell.container("b"));
    cell.add(&list, &a);
    cell.failed(cell.try_add(&list, &b), 101, "10.2.0.1-10.2.0.2");
    cell.del(&list, &a);
    cell.is_clean();
}

fn ranges_that_are_none(cell: &Cell) {
    let one = |range: Value| json!([[range]]);
    let both = |a: &str, b: &str| json!([[{"subnet": a}, {"subnet": b}]]);
    let wrong = [
        one(json!({"subnet": "10.1.0.1/24"})),
        one(json!({"subnet": "10.1.0.0/31"})),
        one(json!({"subnet": "10.1.0.0/32"})),
        one(json!({"subnet": "fd00::/127"})),
        one(json!({"subnet": "fd00::/128"})),
        one(json!({"subnet": "10.1.0.0/24", "rangeStart": "10.2.0.1"})),
        one(json!({"subnet": "10.1.0.0/24", "rangeEnd": "10.2.0.1"})),
        one(json!({"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.8"})),
        one(json!({"subnet": "10.1.0.0/24", "rangeStart": "fd00::1"})),
        both("10.1.0.0/24", "fd00:1::/64"),
        both("10.1.0.0/24", "10.1.0.128/25"),
        json!([[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.1.0.0/16"}]]),
        json!([[]]),
        json!([{"subnet": "10.1.0.0/24"}]),
    ];
    let a = cell.container("a");
    for wrong in wrong {
        let list = ranges(cell, wrong.clone());
        match cell.try_add(&list, &a) {
            Ok(result) => panic!("{wrong} gave {result}"),
            Err(failure) => {
                assert_eq!(
                    (failure.code, failure.text.contains("ipam.ranges[")),
                    (Some(7), true),
                    "{wrong}: {failure}"
                );
            }
        }
    }
    cell.is_clean();
}

/// host-local allows it, and to us the gateway is but a name: the container's next hop is its own host.
fn a_gateway_outside_of_the_subnet(cell: &Cell) {
    let list = ranges(cell, json!([[{"subnet": "10.1.0.0/24", "gateway": "10.77.0.1"}]]));
    let a = cell.container("a");
    let result = cell.add(&list, &a);
    assert_eq!(addresses(&result), of(&["10.1.0.1"]), "nobody needs it");
    let node = cell.node().ip4();
    a.ping(node).unwrap();
    cell.del(&list, &a);
    cell.is_clean();
}

fn data_dir(cell: &Cell) {
    let mut list = cell.primary(&["10.1.0.0/24"]);
    list["plugins"][0]["ipam"]["dataDir"] = json!("/run/elsewhere");
    let held = || cell.node().run("sh", ["-c", "ls /run/elsewhere/net | grep ^10; exit 0"]).unwrap();
    let a = cell.container("a");
    cell.add(&list, &a);
    assert_eq!(held().trim(), "10.1.0.2");
    cell.del(&list, &a);
    assert_eq!(held(), "");
    cell.is_clean();
}

fn a_resolver_file_that_is_not_there(cell: &Cell) {
    let mut list = cell.primary(&["10.1.0.0/24"]);
    list["plugins"][0]["ipam"]["resolvConf"] = json!("/run/nothing");
    cell.failed(cell.try_add(&list, &cell.container("a")), 5, "ipam.resolvConf: /run/nothing");
    cell.is_clean();
}

/// An IPAM that gives what the test says, and writes down what it was asked.
fn scripted(cell: &Cell, add: &str) -> Value {
    cell.script(
        "scripted",
        &format!(
            r#"cat >/dev/null; echo "$CNI_COMMAND" >>/run/asked
               case $CNI_COMMAND in ADD) {add};; esac"#
        ),
    );
    cell.list(&[json!({"type": "caracal", "ipam": {"type": "scripted"}})])
}

fn asked(cell: &Cell) -> String {
    let file = cell.node().machine().read_file("/run/asked").unwrap();
    String::from_utf8(file).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// In whatever version it answers, and whether or not it says which.
fn other_ipams_give_addresses(cell: &Cell) {
    let list = scripted(
        cell,
        r#"echo '{"ips":[{"version":"4","address":"10.1.0.9/24","gateway":"10.1.0.1","interface":null}],"routes":null}'"#,
    );
    let a = cell.container("a");
    let result = cell.add(&list, &a);
    assert_eq!(result["ips"][0]["address"], "10.1.0.9/32", "{result}");
    cell.node().ping(addresses(&result)[0]).unwrap();
    cell.del(&list, &a);
    assert_eq!(asked(cell), "ADD DEL");
    cell.is_clean();
}

fn an_ipam_without_a_result_is_an_error_and_gets_a_del(cell: &Cell) {
    for (nothing, code) in [
        ("echo '{}'", 106),
        ("true", 106),
        ("echo '{\"ips\":[]}'", 106),
        ("echo '{\"code\":11,\"msg\":\"pool moves\"}'; exit 1", 11),
    ] {
        let list = scripted(cell, nothing);
        cell.node().run("rm", ["-f", "/run/asked"]).unwrap();
        let a = cell.container("a");
        cell.failed(cell.try_add(&list, &a), code, "");
        assert_eq!(asked(cell), "ADD DEL", "{nothing}");
        a.end().unwrap();
        cell.is_clean();
    }
}

fn an_ipam_that_is_not_there(cell: &Cell) {
    let list = cell.list(&[json!({"type": "caracal", "ipam": {"type": "nowhere"}})]);
    cell.failed(cell.try_add(&list, &cell.container("a")), 7, "there is no plugin \"nowhere\" in CNI_PATH");
    cell.is_clean();
    if cell.since("1.1.0") && cell.kind != Kind::RustCni {
        cell.failed(cell.status(&list), 7, "nowhere");
    }
}
