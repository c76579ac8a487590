//! What ADD makes in the kernel: links, addresses, neighbours, routes and settings on both ends.

use caracal_cni_suite::{Cell, Container, addresses, ip, link, routes, rows};
use caracal_lab::Site as _;
use serde_json::{Value, json};

const V4: &str = "10.1.0.0/24";
const V6: &str = "fd00:1::/64";

rows! {
    the_pod_is_alone_on_its_link: all, [driver, cnitool, rust_cni];
    the_host_has_a_route_for_each_address: all, [driver, cnitool, rust_cni];
    the_host_forwards_and_hears_no_router: all, [driver];
    ipv6_is_there_at_once: all, [driver, cnitool];
    routes_go_by_the_gateway_of_their_family: all, [driver, cnitool, rust_cni];
    routes_keep_what_they_ask_for: all, [driver, cnitool];
    routes_to_the_same_destination_are_kept: all, [driver];
    a_route_twice_undoes_the_add: all, [driver, cnitool, rust_cni];
    host_names_are_short_and_each_their_own: all, [driver];
}

fn the_pod_is_alone_on_its_link(cell: &Cell) {
    let list = cell.primary(&[V4, V6]);
    let a = cell.container("a");
    let result = cell.add(&list, &a);
    let [v4, v6] = addresses(&result)[..] else { panic!("{result}") };
    let eth0 = link(&a, "eth0").unwrap();
    let prefixes: Vec<_> =
        eth0["addr_info"].as_array().unwrap().iter().map(|info| (&info["local"], &info["prefixlen"])).collect();
    assert!(prefixes.contains(&(&json!(v4.to_string()), &json!(32))), "{prefixes:?}");
    assert!(prefixes.contains(&(&json!(v6.to_string()), &json!(128))), "{prefixes:?}");
    assert_eq!(routes(&a, "-4", "main").unwrap(), ["default via 169.254.1.1 dev eth0 onlink"]);
    let v6_routes = routes(&a, "-6", "main").unwrap();
    assert!(v6_routes.iter().any(|route| route.starts_with("default via fe80::1 dev eth0")), "{v6_routes:?}");
    let host = result["interfaces"][0]["name"].as_str().unwrap();
    let host_mac = link(cell.node(), host).unwrap()["address"].clone();
    let known = ip(&a, "neigh show dev eth0 nud permanent").unwrap();
    for gateway in ["169.254.1.1", "fe80::1"] {
        let entry = known.as_array().unwrap().iter().find(|entry| entry["dst"] == gateway);
        assert_eq!(entry.map(|entry| &entry["lladdr"]), Some(&host_mac), "{gateway} in {known}");
    }
    cell.del(&list, &a);
}

fn the_host_has_a_route_for_each_address(cell: &Cell) {
    let list = cell.primary(&[V4, V6]);
    let a = cell.container("a");
    let result = cell.add(&list, &a);
    let host = result["interfaces"][0]["name"].as_str().unwrap();
    let pod_mac = link(&a, "eth0").unwrap()["address"].clone();
    let known = ip(cell.node(), &format!("neigh show dev {host} nud permanent")).unwrap();
    for (address, family) in addresses(&result).iter().zip(["-4", "-6"]) {
        let found = routes(cell.node(), family, "main").unwrap();
        assert!(found.iter().any(|route| route.starts_with(&format!("{address} dev {host}"))), "{address}: {found:?}");
        let entry = known.as_array().unwrap().iter().find(|entry| entry["dst"] == address.to_string());
        assert_eq!(entry.map(|entry| &entry["lladdr"]), Some(&pod_mac), "{address} in {known}");
    }
    cell.del(&list, &a);
    for family in ["-4", "-6"] {
        let left = routes(cell.node(), family, "main").unwrap();
        assert!(!left.iter().any(|route| route.contains(host)), "{left:?}");
    }
}

fn the_host_forwards_and_hears_no_router(cell: &Cell) {
    let list = cell.primary(&[V4, V6]);
    let a = cell.container("a");
    let result = cell.add(&list, &a);
    let host = result["interfaces"][0]["name"].as_str().unwrap();
    let setting = |name: &str| {
        let file = cell.node().machine().read_file(format!("/proc/sys/net/{}", name.replace("LINK", host))).unwrap();
        String::from_utf8(file).unwrap().trim().to_owned()
    };
    assert_eq!(setting("ipv4/conf/LINK/forwarding"), "1");
    assert_eq!(setting("ipv6/conf/LINK/accept_ra"), "0");
    assert_eq!(setting("ipv4/conf/LINK/proxy_arp"), "0");
    cell.del(&list, &a);
}

/// No address waits for duplicate detection: a container that starts at once may use it.
fn ipv6_is_there_at_once(cell: &Cell) {
    let list = cell.primary(&[V4, V6]);
    let a = cell.container("a");
    let off = "for i in all default; do echo 1 >/proc/sys/net/ipv6/conf/$i/disable_ipv6; done";
    a.run("sh", ["-c", off]).unwrap();
    let result = cell.add(&list, &a);
    let eth0 = link(&a, "eth0").unwrap();
    let v6 = addresses(&result)[1];
    let own = eth0["addr_info"].as_array().unwrap().iter().find(|info| info["local"] == v6.to_string()).unwrap();
    assert!(own["tentative"].is_null() && own["dadfailed"].is_null(), "{own}");
    cell.node().ping(v6).unwrap();
    let lo = a.run("cat", ["/proc/sys/net/ipv6/conf/lo/disable_ipv6"]).unwrap();
    assert_eq!(lo.trim(), "0");
    cell.del(&list, &a);
}

fn with_routes(cell: &Cell, routes: Value) -> (Value, Container) {
    let mut list = cell.primary(&[V4, V6]);
    list["plugins"][0]["ipam"]["routes"] = routes;
    (list, cell.container("a"))
}

/// Whoever the IPAM calls the gateway: the container's link has the host at its other end, and nobody else.
fn routes_go_by_the_gateway_of_their_family(cell: &Cell) {
    let wanted = json!([{"dst": "10.96.0.0/12"}, {"dst": "10.8.0.0/16", "gw": "10.1.0.254"}, {"dst": "fd00:96::/112"}]);
    let (list, a) = with_routes(cell, wanted);
    let result = cell.add(&list, &a);
    let told: Vec<_> = result["routes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["dst"].as_str().unwrap(), r["gw"].as_str().unwrap()))
        .collect();
    for expected in [("10.96.0.0/12", "169.254.1.1"), ("10.8.0.0/16", "169.254.1.1"), ("fd00:96::/112", "fe80::1")] {
        assert!(told.contains(&expected), "{told:?}");
    }
    let found = [routes(&a, "-4", "main").unwrap(), routes(&a, "-6", "main").unwrap()].concat();
    for expected in ["10.96.0.0/12 via 169.254.1.1", "10.8.0.0/16 via 169.254.1.1", "fd00:96::/112 via fe80::1"] {
        assert!(found.iter().any(|route| route.starts_with(expected)), "{expected} in {found:?}");
    }
    cell.del(&list, &a);
}

fn routes_keep_what_they_ask_for(cell: &Cell) {
    let wanted = json!([
        {"dst": "10.96.0.0/12", "mtu": 1300, "advmss": 1200, "priority": 7},
        {"dst": "10.8.0.0/16", "table": 42},
        {"dst": "10.7.0.0/16", "scope": 253},
    ]);
    let (list, a) = with_routes(cell, wanted);
    cell.add(&list, &a);
    let main = routes(&a, "-4", "main").unwrap();
    let full = main.iter().find(|route| route.starts_with("10.96.0.0/12")).unwrap();
    for part in ["mtu 1300", "advmss 1200", "metric 7"] {
        assert!(full.contains(part), "{part} in {full}");
    }
    assert!(
        main.iter().any(|route| route.starts_with("10.7.0.0/16 dev eth0") && route.contains("scope link")),
        "{main:?}"
    );
    let other = routes(&a, "-4", "42").unwrap();
    assert!(other.iter().any(|route| route.starts_with("10.8.0.0/16 via 169.254.1.1")), "{other:?}");
    cell.del(&list, &a);
}

fn routes_to_the_same_destination_are_kept(cell: &Cell) {
    let wanted = json!([{"dst": "10.96.0.0/12", "priority": 7}, {"dst": "10.96.0.0/12", "priority": 8}]);
    let (list, a) = with_routes(cell, wanted);
    cell.add(&list, &a);
    let found = routes(&a, "-4", "main").unwrap();
    assert_eq!(found.iter().filter(|route| route.starts_with("10.96.0.0/12")).count(), 2, "{found:?}");
    cell.del(&list, &a);
}

fn a_route_twice_undoes_the_add(cell: &Cell) {
    let (list, a) = with_routes(cell, json!([{"dst": "10.96.0.0/12"}, {"dst": "10.96.0.0/12"}]));
    cell.failed(cell.try_add(&list, &a), 102, "10.96.0.0/12");
    assert_eq!(link(&a, "eth0").unwrap(), Value::Null);
    cell.is_clean();
}

fn host_names_are_short_and_each_their_own(cell: &Cell) {
    let list = cell.primary(&[V4]);
    let long = "c".repeat(60);
    let mut names = Vec::new();
    let containers = ["a", "b", "c"].map(|name| {
        let mut container = cell.container(name);
        container.attachment.container_id = format!("{long}{name}");
        container
    });
    for container in &containers {
        names.push(cell.add(&list, container)["interfaces"][0]["name"].as_str().unwrap().to_owned());
    }
    assert!(names.iter().all(|name| name.len() <= 15), "{names:?}");
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 3);
    cell.del_all(&list, &containers);
    cell.is_clean();
}
