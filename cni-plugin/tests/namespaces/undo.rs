//! An ADD that fails leaves nothing, however far it came; what was there before stays.

use std::net::IpAddr;

use caracal_cni_plugin::netlink::{Batch, RouteSpec, Socket, route_add, routes_of};
use serde_json::json;

use crate::node::{Node, Pod, conf};

/// One address of each family.
const POOL: [&str; 2] = ["10.1.0.0/30", "fd00:1::/126"];

/// After a failed ADD there is nothing, and the next one can have the same address: there is no other.
#[track_caller]
fn nothing_is_left(node: &Node, pod: &Pod) {
    assert_eq!(node.remains(), [] as [String; 0]);
    let next = node.pod("next");
    let result = next.call("ADD", &conf("1.1.0", &POOL)).ok();
    assert_eq!(result["ips"][0]["address"], "10.1.0.2/32");
    // The runtime calls DEL after an ADD that failed.
    pod.call("DEL", &conf("1.1.0", &["10.1.0.0/24"])).ok();
    assert!(next.link("eth0").is_some());
}

#[test]
fn at_the_link_because_the_name_is_taken() {
    let node = Node::enter();
    let pod = node.pod("a");
    // Every namespace has an `lo`.
    let conf = conf("1.1.0", &POOL);
    let (code, msg) = crate::node::call("ADD", &pod.env("lo"), &conf.to_string()).error();
    assert_eq!((code, msg.as_str()), (4, "CNI_IFNAME: the container has an interface lo already"));
    assert!(pod.link("lo").is_some());
    nothing_is_left(&node, &pod);
}

#[test]
fn on_the_host_because_the_address_is_routed_elsewhere() {
    let node = Node::enter();
    let pod = node.pod("a");
    let taken: IpAddr = "10.1.0.2".parse().unwrap();
    let mut socket = Socket::open().unwrap();
    socket.execute(&Batch::from_iter([route_add(&RouteSpec::new(taken.into(), 1))])).unwrap();
    let (code, msg) = pod.call("ADD", &conf("1.1.0", &["10.1.0.0/24"])).error();
    assert_eq!(code, 102);
    assert!(msg.starts_with("adding route to 10.1.0.2/32 over link number "), "{msg}");
    assert_eq!(node.remains(), [] as [String; 0]);
    assert_eq!(pod.link("eth0"), None);
    let routes = routes_of(&mut socket, 1).unwrap();
    assert!(routes.iter().any(|route| route.dst == taken.into()), "the other route stays");
}

#[test]
fn in_the_pod_because_a_route_is_there_twice() {
    let node = Node::enter();
    let pod = node.pod("a");
    let mut conf = conf("1.1.0", &POOL);
    conf["ipam"]["routes"] = json!([{"dst": "10.5.0.0/16"}, {"dst": "10.5.0.0/16"}]);
    let (code, msg) = pod.call("ADD", &conf).error();
    assert_eq!(code, 102);
    assert!(msg.starts_with("adding route to 10.5.0.0/16 over link number "), "{msg}");
    assert_eq!(pod.link("eth0"), None);
    nothing_is_left(&node, &pod);
}

#[test]
fn before_anything_because_a_strangers_link_has_the_name() {
    let node = Node::enter();
    let (pod, other) = (node.pod("a"), node.pod("b"));
    let conf = conf("1.1.0", &["10.1.0.0/24"]);
    let host_ifname = pod.call("ADD", &conf).ok()["interfaces"][0]["name"].as_str().unwrap().to_owned();
    pod.call("DEL", &conf).ok();
    // A link of this very name, made by somebody else.
    let other_ifname = other.call("ADD", &conf).ok()["interfaces"][0]["name"].as_str().unwrap().to_owned();
    rename(&other_ifname, &host_ifname);
    let (code, msg) = pod.call("ADD", &conf).error();
    assert_eq!(code, 102);
    assert!(msg.starts_with(&format!("the host has a link {host_ifname} that was not made for this")), "{msg}");
    pod.call("DEL", &conf).ok();
    assert!(node.link(&host_ifname).is_some(), "what is not ours is not deleted");
    assert!(other.link("eth0").is_some());
}

fn rename(from: &str, to: &str) {
    #[expect(clippy::disallowed_methods, reason = "the plugin never renames links, so it has no request for it")]
    let renamed = std::process::Command::new("ip").args(["link", "set", from, "name", to]).status().unwrap();
    assert!(renamed.success());
}
