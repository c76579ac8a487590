//! What the kernel is told about a pod's link, and what is found out before.

use std::fs;

use caracal_cni_plugin::netlink::{Batch, RouteSpec, Socket, address_add, link_by_name, route_add};
use serde_json::json;

use crate::node::{Node, addresses, call, conf, echo};

/// A setting of a link in the namespace of the calling thread.
fn sysctl(family: &str, ifname: &str, setting: &str) -> String {
    fs::read_to_string(format!("/proc/sys/net/{family}/conf/{ifname}/{setting}")).unwrap().trim().to_owned()
}

#[test]
fn the_host_end_forwards_and_hears_no_router() {
    let node = Node::enter();
    let pod = node.pod("a");
    let result = pod.call("ADD", &conf("1.1.0", &["10.1.0.0/24", "fd00::/64"])).ok();
    let host = result["interfaces"][0]["name"].as_str().unwrap();
    assert_eq!(sysctl("ipv4", host, "forwarding"), "1");
    assert_eq!(sysctl("ipv4", host, "rp_filter"), "2");
    assert_eq!(sysctl("ipv4", "all", "forwarding"), "0", "the host itself is no router");
    assert_eq!(sysctl("ipv6", host, "accept_ra"), "0");
    assert_eq!(sysctl("ipv6", host, "addr_gen_mode"), "1");
    let forced = fs::exists("/proc/sys/net/ipv6/conf/all/force_forwarding").unwrap();
    let expected = if forced { (host, "force_forwarding") } else { ("all", "forwarding") };
    assert_eq!(sysctl("ipv6", expected.0, expected.1), "1");
    assert_eq!(sysctl("ipv6", "all", "forwarding"), if forced { "0" } else { "1" });
}

#[test]
fn people_see_whose_link_it_is_however_long_the_name() {
    let node = Node::enter();
    let pod = node.pod("a");
    let (namespace, name) = ("n".repeat(63), "p".repeat(253));
    let args = format!("IgnoreUnknown=1;K8S_POD_NAMESPACE={namespace};K8S_POD_NAME={name}");
    let mut env = pod.env("eth0");
    env.push(("CNI_ARGS", &args));
    let result = call("ADD", &env, &conf("1.0.0", &["10.1.0.0/24"]).to_string()).ok();
    let host = result["interfaces"][0]["name"].as_str().unwrap();
    #[expect(clippy::disallowed_methods, reason = "the plugin never reads aliases, so it has no request for them")]
    let listing = std::process::Command::new("ip").args(["-o", "link", "show", host]).output().unwrap();
    let listing = String::from_utf8(listing.stdout).unwrap();
    assert!(listing.contains(&format!("alias {}", &format!("{namespace}/{name}")[..254])), "{listing}");
}

#[test]
fn a_pod_without_an_ipv6_address_has_no_link_local_one() {
    let node = Node::enter();
    let pod = node.pod("a");
    pod.call("ADD", &conf("1.1.0", &["10.1.0.0/24"])).ok();
    let addresses = pod.run(|| fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap());
    assert!(!addresses.contains("eth0"), "{addresses}");
}

#[test]
fn ipv6_is_switched_on_in_a_pod_that_has_it_off() {
    let node = Node::enter();
    let pod = node.pod("a");
    pod.run(|| {
        for ifname in ["all", "default"] {
            fs::write(format!("/proc/sys/net/ipv6/conf/{ifname}/disable_ipv6"), "1").unwrap();
        }
    });
    let result = pod.call("ADD", &conf("1.1.0", &["10.1.0.0/24", "fd00::/64"])).ok();
    assert!(echo(&pod, addresses(&result)[1]).is_some());
    assert_eq!(pod.run(|| sysctl("ipv6", "lo", "disable_ipv6")), "0");
}

#[test]
fn the_mtu_is_not_loopbacks_where_the_node_has_the_address_that_is_asked_for() {
    let node = Node::enter();
    let own = [address_add(1, "192.0.2.1".parse().unwrap()), address_add(1, "3fff::1".parse().unwrap())];
    Socket::open().unwrap().execute(&Batch::from_iter(own)).unwrap();
    assert_eq!(node.pod("a").call("ADD", &conf("1.1.0", &["10.1.0.0/24"])).ok()["interfaces"][1]["mtu"], 1500);
}

#[test]
fn the_mtu_is_the_default_routes_unless_configured() {
    let node = Node::enter();
    let (a, b, c) = (node.pod("a"), node.pod("b"), node.pod("c"));
    let mut conf = conf("1.1.0", &["10.1.0.0/24"]);
    assert_eq!(a.call("ADD", &conf).ok()["interfaces"][1]["mtu"], 1500, "no default route");
    let host = node_link(&a.name);
    // Any link will do to have the default route over.
    conf["mtu"] = json!(1380);
    let uplink = b.call("ADD", &conf).ok()["interfaces"][0]["name"].as_str().unwrap().to_owned();
    let mut socket = Socket::open().unwrap();
    let index = link_by_name(&mut socket, &uplink).unwrap().unwrap().index;
    socket.execute(&Batch::from_iter([route_add(&RouteSpec::new("0.0.0.0/0".parse().unwrap(), index))])).unwrap();
    conf["mtu"] = json!(0);
    assert_eq!(c.call("ADD", &conf).ok()["interfaces"][1]["mtu"], 1380);
    assert_eq!((c.link("eth0").unwrap().mtu, host), (1380, 1500));
}

/// MTU of the host's end of a pod's link.
fn node_link(container: &str) -> u32 {
    let record = fs::read_to_string(format!("/run/caracal/endpoints/net/{container}:eth0")).unwrap();
    let record: serde_json::Value = serde_json::from_str(record.lines().last().unwrap()).unwrap();
    let mut socket = Socket::open().unwrap();
    link_by_name(&mut socket, record["hostIfname"].as_str().unwrap()).unwrap().unwrap().mtu
}

#[test]
fn a_resolver_file_is_read_only_if_nobody_says_better() {
    let node = Node::enter();
    let pod = node.pod("a");
    let mut conf = conf("1.1.0", &["10.1.0.0/24"]);
    conf["ipam"]["resolvConf"] = json!("/run/nothing");
    let (code, msg) = pod.call("ADD", &conf).error();
    assert_eq!((code, msg.starts_with("ipam.resolvConf: /run/nothing: ")), (5, true), "{msg}");
    conf["dns"] = json!({"nameservers": ["10.96.0.10"]});
    assert_eq!(pod.call("ADD", &conf).ok()["dns"], conf["dns"]);
}
