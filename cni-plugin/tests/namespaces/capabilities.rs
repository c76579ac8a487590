//! What runtimes ask for in `runtimeConfig`, `args` and `CNI_ARGS`.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    dataplane::load,
    node::{Node, addresses, call, conf, echo},
};

const V4: &str = "10.1.0.0/24";
const V6: &str = "fd00:1::/64";

fn record(container: &str) -> Value {
    let text = fs::read_to_string(format!("/run/caracal/endpoints/net/{container}:eth0")).unwrap();
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

#[test]
fn a_pod_has_the_hardware_address_that_was_asked_for() {
    let node = Node::enter();
    let pinned = load();
    let mut conf = conf("1.1.0", &[V4, V6]);
    conf["policy"] = json!("required");
    let (a, b) = (node.pod("a"), node.pod("b"));
    let mac = "c2:11:22:33:44:55";
    conf["runtimeConfig"] = json!({"mac": mac});
    let result = a.call("ADD", &conf).ok();
    assert_eq!(result["interfaces"][1]["mac"], mac);
    assert_eq!(a.link("eth0").unwrap().mac.unwrap().to_string(), mac);
    assert_eq!(record("a")["podMac"], mac);
    assert_ne!(result["interfaces"][0]["mac"], mac);
    // The same address again harms nobody: every pod is alone on its link.
    let b_result = b.call("ADD", &conf).ok();
    for (from, to) in addresses(&result).iter().zip(addresses(&b_result)) {
        assert_eq!(a.run(|| echo(&b, to)), Some(*from));
        assert!(echo(&a, *from).is_some(), "the host reaches it");
    }
    conf["prevResult"] = result;
    // CHECK and DEL go by what was made, whatever is asked for by then.
    conf["runtimeConfig"] = json!({});
    a.call("CHECK", &conf).ok();
    a.call("DEL", &conf).ok();
    assert_eq!(a.link("eth0"), None);
    fs::remove_file("/run/caracal/endpoints/net/b:eth0").unwrap();
    b.call("DEL", &conf).ok();
    assert_eq!(node.remains(), [] as [String; 0]);
    assert_eq!(pinned.endpoints().unwrap(), []);
}

#[test]
fn the_environment_can_ask_for_a_hardware_address_too() {
    let node = Node::enter();
    let pod = node.pod("a");
    let mut env = pod.env("eth0");
    env.push(("CNI_ARGS", "IgnoreUnknown=1;MAC=02:00:00:00:00:07;K8S_POD_NAME=x"));
    let conf = conf("0.3.1", &[V4]);
    let result = call("ADD", &env, &conf.to_string()).ok();
    assert_eq!(result["interfaces"][1]["mac"], "02:00:00:00:00:07");
    env[4].1 = "MAC=03:00:00:00:00:07";
    let (code, msg) = call("ADD", &env, &conf.to_string()).error();
    assert_eq!((code, msg.starts_with("CNI_ARGS: MAC: 03:00:00:00:00:07 is an address of many")), (7, true), "{msg}");
    call("DEL", &env, &conf.to_string()).ok();
    assert_eq!(node.remains(), [] as [String; 0]);
}

#[test]
fn addresses_can_be_asked_for() {
    let node = Node::enter();
    let mut conf = conf("1.1.0", &[V4, V6]);
    conf["runtimeConfig"] = json!({"ips": ["10.1.0.77/24", "fd00:1::77"]});
    let pod = node.pod("a");
    let result = pod.call("ADD", &conf).ok();
    assert_eq!([&result["ips"][0]["address"], &result["ips"][1]["address"]], ["10.1.0.77/32", "fd00:1::77/128"]);
    assert!(echo(&pod, addresses(&result)[1]).is_some());
    let (code, msg) = node.pod("b").call("ADD", &conf).error();
    assert_eq!((code, msg.as_str()), (101, "requested IP address 10.1.0.77 is in use"));
    // One that is to be had and one that is not: neither stays taken.
    conf["runtimeConfig"]["ips"] = json!(["10.1.0.78", "fd00:1::77"]);
    assert_eq!(node.pod("c").call("ADD", &conf).error().0, 101);
    assert!(!Path::new("/run/caracal/ipam/net/10.1.0.78").exists());
    pod.call("DEL", &conf).ok();
    assert_eq!(node.remains(), [] as [String; 0]);
}

#[test]
fn the_runtimes_ranges_come_first_or_alone() {
    let node = Node::enter();
    let mut conf = conf("1.0.0", &[V6]);
    conf["runtimeConfig"] = json!({"ipRanges": [[{"subnet": "10.9.0.0/24", "rangeStart": "10.9.0.20"}]]});
    let both = node.pod("a").call("ADD", &conf).ok();
    assert_eq!([&both["ips"][0]["address"], &both["ips"][1]["address"]], ["10.9.0.20/32", "fd00:1::2/128"]);
    conf["ipam"]["ranges"] = Value::Null;
    let alone = node.pod("b").call("ADD", &conf).ok();
    assert_eq!(alone["ips"].as_array().unwrap().len(), 1);
    conf["runtimeConfig"]["ipRanges"][0][0]["subnet"] = json!("10.9.0.1/24");
    let (code, msg) = node.pod("c").call("ADD", &conf).error();
    assert_eq!(
        (code, msg.starts_with("runtimeConfig.ipRanges[0][0].subnet: 10.9.0.1/24 has host bits")),
        (7, true),
        "{msg}"
    );
}

#[test]
fn resolver_settings_of_the_runtime_reach_the_result() {
    let node = Node::enter();
    let mut conf = conf("1.0.0", &[V4]);
    conf["dns"] = json!({"nameservers": ["10.96.0.10"], "domain": "a.example"});
    conf["runtimeConfig"] =
        json!({"dns": {"servers": ["10.96.0.11"], "searches": ["b.example"], "options": ["ndots:2"]}});
    let result = node.pod("a").call("ADD", &conf).ok();
    let expected = json!({"nameservers": ["10.96.0.11"], "domain": "a.example", "search": ["b.example"],
        "options": ["ndots:2"]});
    assert_eq!(result["dns"], expected);
}

#[test]
fn what_is_of_no_use_here_is_let_pass() {
    let node = Node::enter();
    let mut conf = conf("1.0.0", &[V4]);
    conf["runtimeConfig"] = json!({"cgroupPath": "/kubepods/pod1", "aliases": ["web"], "deviceID": "0000:04:10.1",
        "infinibandGUID": "24:8a:07:03:00:8d:ae:2e", "io.kubernetes.cri.pod-annotations": {"a/b": "c"}});
    let pod = node.pod("a");
    conf["prevResult"] = pod.call("ADD", &conf).ok();
    pod.call("CHECK", &conf).ok();
    pod.call("DEL", &conf).ok();
    assert_eq!(node.remains(), [] as [String; 0]);
}
