//! The life of a pod, from ADD to DEL.

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::node::{Node, addresses, call, conf, echo};

const V4: &str = "10.1.0.0/24";
const V6: &str = "fd00:1::/64";

/// Two pods that talk to each other and to the host, and leave nothing when they go.
fn live(subnets: &[&str]) {
    let node = Node::enter();
    let conf = conf("1.1.0", subnets);
    let (a, b) = (node.pod("a"), node.pod("b"));
    let a_result = a.call("ADD", &conf).ok();
    let b_result = b.call("ADD", &conf).ok();
    let (a_ips, b_ips) = (addresses(&a_result), addresses(&b_result));
    assert_eq!((a_ips.len(), b_ips.len()), (subnets.len(), subnets.len()));
    for (a_ip, b_ip) in a_ips.iter().zip(&b_ips) {
        assert_eq!(a.run(|| echo(&b, *b_ip)), Some(*a_ip), "pod to pod");
        assert_eq!(b.run(|| echo(&a, *a_ip)), Some(*b_ip), "and back");
        let host: IpAddr = if a_ip.is_ipv4() { "192.0.2.100" } else { "2001:db8::100" }.parse().unwrap();
        assert_eq!(echo(&a, *a_ip), Some(host), "host to pod");
    }
    assert_eq!(a.call("DEL", &conf).ok(), Value::Null);
    assert_eq!(a.link("eth0"), None);
    assert!(echo(&b, b_ips[0]).is_some(), "the other pod lives on");
    assert_eq!(a.call("DEL", &conf).ok(), Value::Null, "a second DEL is nothing");
    assert_eq!(b.call("DEL", &conf).ok(), Value::Null);
    assert_eq!(node.remains(), [] as [String; 0]);
}

#[test]
fn ipv4() {
    live(&[V4]);
}

#[test]
fn ipv6() {
    live(&[V6]);
}

#[test]
fn dual_stack() {
    live(&[V4, V6]);
}

#[test]
fn the_result_tells_what_is_there() {
    let node = Node::enter();
    let mut conf = conf("1.1.0", &[V4, V6]);
    conf["mtu"] = json!(1400);
    conf["dns"] = json!({"nameservers": ["10.96.0.10"]});
    conf["ipam"]["routes"] = json!([{"dst": "10.96.0.0/12", "gw": "10.1.0.1", "mtu": 1300, "priority": 7}]);
    let pod = node.pod("a");
    let result = pod.call("ADD", &conf).ok();
    let host = result["interfaces"][0]["name"].as_str().unwrap();
    let (host_link, pod_link) = (node.link(host).unwrap(), pod.link("eth0").unwrap());
    assert_eq!((host_link.peer, pod_link.peer), (Some(pod_link.index), Some(host_link.index)));
    assert_eq!((host_link.mtu, pod_link.mtu), (1400, 1400));
    let expected = json!({
        "cniVersion": "1.1.0",
        "interfaces": [
            {"name": host, "mac": host_link.mac.unwrap().to_string(), "mtu": 1400},
            {"name": "eth0", "mac": pod_link.mac.unwrap().to_string(), "mtu": 1400, "sandbox": "/run/netns/a"},
        ],
        "ips": [
            {"interface": 1, "address": "10.1.0.2/32", "gateway": "169.254.1.1"},
            {"interface": 1, "address": "fd00:1::2/128", "gateway": "fe80::1"},
        ],
        "routes": [
            {"dst": "10.96.0.0/12", "gw": "169.254.1.1", "mtu": 1300, "priority": 7},
            {"dst": "0.0.0.0/0", "gw": "169.254.1.1"},
            {"dst": "::/0", "gw": "fe80::1"},
        ],
        "dns": {"nameservers": ["10.96.0.10"]},
    });
    assert_eq!(result, expected);
}

#[test]
fn del_works_without_a_namespace_or_with_one_that_is_gone() {
    let node = Node::enter();
    let conf = conf("0.3.0", &[V4, V6]);
    let pods = [node.pod("a"), node.pod("b"), node.pod("c")];
    for pod in &pods {
        pod.call("ADD", &conf).ok();
    }
    let [unset, missing, gone] = &pods;
    let without = [("CNI_CONTAINERID", "a"), ("CNI_IFNAME", "eth0"), ("CNI_NETNS", "")];
    assert_eq!(call("DEL", &without, &conf.to_string()).ok(), Value::Null);
    assert_eq!(unset.link("eth0"), None);
    let wrong = [("CNI_CONTAINERID", "b"), ("CNI_IFNAME", "eth0"), ("CNI_NETNS", "/run/netns/nothing")];
    assert_eq!(call("DEL", &wrong, &conf.to_string()).ok(), Value::Null);
    assert_eq!(missing.link("eth0"), None);
    gone.remove();
    assert_eq!(gone.call("DEL", &conf).ok(), Value::Null);
    assert_eq!(node.remains(), [] as [String; 0]);
}

#[test]
fn del_works_whatever_became_of_the_configuration() {
    let node = Node::enter();
    let mut conf = conf("1.1.0", &[V4]);
    let (a, b) = (node.pod("a"), node.pod("b"));
    conf["ipam"]["dataDir"] = json!("/run/elsewhere");
    a.call("ADD", &conf).ok();
    b.call("ADD", &conf).ok();
    assert!(std::path::Path::new("/run/elsewhere/net/10.1.0.2").exists());
    a.call("DEL", &json!({"cniVersion": "1.1.0", "name": "net", "ipam": 7, "prevResult": {"ips": 3}})).ok();
    b.call("DEL", &json!({"cniVersion": "0.4.0", "name": "net", "type": "x", "mtu": "?", "policy": "required"})).ok();
    assert_eq!(node.remains(), [] as [String; 0]);
    assert!(!std::path::Path::new("/run/elsewhere/net/10.1.0.2").exists());
    assert!(!std::path::Path::new("/run/elsewhere/net/10.1.0.3").exists());
}

#[test]
fn del_works_when_the_record_is_lost() {
    let node = Node::enter();
    let conf = conf("1.1.0", &[V4]);
    let (a, b) = (node.pod("a"), node.pod("b"));
    a.call("ADD", &conf).ok();
    b.call("ADD", &conf).ok();
    std::fs::remove_file("/run/caracal/endpoints/net/a:eth0").unwrap();
    std::fs::write("/run/caracal/endpoints/net/b:eth0", "").unwrap();
    a.call("DEL", &conf).ok();
    b.call("DEL", &conf).ok();
    assert_eq!(node.remains(), [] as [String; 0]);
}

#[test]
fn an_attachment_is_made_once_and_each_interface_is_its_own() {
    let node = Node::enter();
    let conf = conf("1.1.0", &[V4, V6]);
    let pod = node.pod("a");
    let result = pod.call("ADD", &conf).ok();
    let (code, msg) = pod.call("ADD", &conf).error();
    assert_eq!((code, msg.as_str()), (100, "a:eth0 is attached already; a second ADD needs a DEL before it"));
    assert!(echo(&pod, addresses(&result)[0]).is_some(), "the first is untouched");
    let second = call("ADD", &pod.env("net1"), &conf.to_string()).ok();
    assert_eq!(second["ips"][0]["address"], "10.1.0.3/32");
    assert_eq!(second["routes"], Value::Null, "the default routes are the first interface's");
    call("DEL", &pod.env("net1"), &conf.to_string()).ok();
    assert_eq!((pod.link("net1"), pod.link("eth0").is_some()), (None, true));
    assert!(echo(&pod, addresses(&result)[1]).is_some());
    pod.call("DEL", &conf).ok();
    assert_eq!(node.remains(), [] as [String; 0]);
}
