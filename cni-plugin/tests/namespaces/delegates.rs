//! Addresses from other IPAM plugins.

use std::{fs, os::unix::fs::PermissionsExt};

use caracal_cni_plugin::netlink::{Batch, RouteSpec, Socket, route_add};
use serde_json::{Value, json};

use crate::{
    list::{host_local, host_local_leases},
    node::{Node, addresses, call, conf, echo},
};

const VERSIONS: [&str; 4] = ["0.3.0", "0.3.1", "0.4.0", "1.0.0"];

fn with(version: &str, ipam: &Value) -> Value {
    json!({"cniVersion": version, "name": "net", "type": "caracal", "ipam": ipam})
}

/// Makes a plugin that notes what it is called with and does `script`.
fn plugin(name: &str, script: &str) {
    let path = format!("/run/bin/{name}");
    fs::create_dir_all("/run/bin").unwrap();
    let note = "echo \"$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME $CNI_NETNS\" >>\"$0.log\"";
    fs::write(&path, format!("#!/bin/sh\n{note}\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn log(name: &str) -> Vec<String> {
    let log = fs::read_to_string(format!("/run/bin/{name}.log")).unwrap_or_default();
    log.lines().map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn host_local_gives_addresses_and_gets_them_back() {
    for version in VERSIONS {
        let node = Node::enter();
        let mut conf = with(version, &host_local(&["10.1.0.0/24", "fd00:1::/64"]));
        conf["ipam"]["routes"] = json!([{"dst": "10.96.0.0/12", "gw": "10.1.0.9"}]);
        let (a, b) = (node.pod("a"), node.pod("b"));
        let (a_result, b_result) = (a.call("ADD", &conf).ok(), b.call("ADD", &conf).ok());
        assert_eq!(host_local_leases(), ["10.1.0.2", "10.1.0.3", "fd00:1::2", "fd00:1::3"]);
        assert_eq!(a_result["ips"][0]["address"], "10.1.0.2/32");
        assert_eq!(a_result["ips"][1]["version"].as_str(), (version < "1.0.0").then_some("6"));
        let routes = json!([{"dst": "10.96.0.0/12", "gw": "169.254.1.1"}, {"dst": "0.0.0.0/0", "gw": "169.254.1.1"},
            {"dst": "::/0", "gw": "fe80::1"}]);
        assert_eq!(a_result["routes"], routes);
        for (from, to) in addresses(&a_result).iter().zip(addresses(&b_result)) {
            assert_eq!(a.run(|| echo(&b, to)), Some(*from));
        }
        if version >= "0.4.0" {
            conf["prevResult"] = a_result;
            assert_eq!(a.call("CHECK", &conf).ok(), Value::Null);
            fs::remove_file("/run/host-local/net/10.1.0.2").unwrap();
            fs::remove_file("/run/host-local/net/fd00:1::2").unwrap();
            let (_, msg) = a.call("CHECK", &conf).error();
            assert!(msg.starts_with("IPAM plugin host-local, CHECK: "), "{msg}");
            conf.as_object_mut().unwrap().remove("prevResult");
        }
        a.call("DEL", &conf).ok();
        a.call("DEL", &conf).ok();
        let without = [("CNI_CONTAINERID", "b"), ("CNI_IFNAME", "eth0"), ("CNI_PATH", crate::node::CNI_PATH)];
        call("DEL", &without, &conf.to_string()).ok();
        assert_eq!((host_local_leases(), node.remains()), (Vec::new(), Vec::new()));
    }
}

#[test]
fn a_failed_add_gives_the_address_back() {
    let node = Node::enter();
    let conf = with("1.0.0", &host_local(&["10.1.0.0/30"]));
    let mut socket = Socket::open().unwrap();
    let taken = RouteSpec::new("10.1.0.2/32".parse().unwrap(), 1);
    socket.execute(&Batch::from_iter([route_add(&taken)])).unwrap();
    let pod = node.pod("a");
    let (code, msg) = pod.call("ADD", &conf).error();
    assert_eq!((code, msg.starts_with("adding route to 10.1.0.2/32")), (102, true), "{msg}");
    assert_eq!((host_local_leases(), node.remains()), (Vec::new(), Vec::new()));
    // Another interface of the name, which shows before anything else does.
    let (code, _) = call("ADD", &pod.env("lo"), &conf.to_string()).error();
    assert_eq!((code, host_local_leases()), (4, Vec::new()));
}

#[test]
fn several_addresses_of_one_family_all_work() {
    for version in VERSIONS {
        let node = Node::enter();
        let ipam = json!({
            "type": "static",
            "addresses": [{"address": "10.1.0.5/24", "gateway": "10.1.0.1"}, {"address": "10.2.0.5/16"},
                {"address": "fd00::5/64"}, {"address": "fd00::6/64"}],
            "dns": {"nameservers": ["10.96.0.10"], "search": ["a.example"]},
        });
        let conf = with(version, &ipam);
        let pod = node.pod("a");
        let result = pod.call("ADD", &conf).ok();
        let ips: Vec<_> = addresses(&result).iter().map(ToString::to_string).collect();
        assert_eq!(ips, ["10.1.0.5", "10.2.0.5", "fd00::5", "fd00::6"]);
        assert_eq!(result["routes"].as_array().unwrap().len(), 2, "one default route of each family");
        assert_eq!(result["dns"], json!({"nameservers": ["10.96.0.10"], "search": ["a.example"]}));
        for ip in addresses(&result) {
            assert!(echo(&pod, ip).is_some(), "{ip}");
        }
        pod.call("DEL", &conf).ok();
        assert_eq!(node.remains(), [] as [String; 0]);
    }
}

#[test]
fn what_it_refuses_is_passed_on_under_its_name() {
    let node = Node::enter();
    let (a, b) = (node.pod("a"), node.pod("b"));
    let mut conf = with("1.0.0", &host_local(&["10.1.0.0/30"]));
    a.call("ADD", &conf).ok();
    let (code, msg) = b.call("ADD", &conf).error();
    assert_eq!(code, 999, "as Debian's host-local has it");
    assert!(msg.starts_with("IPAM plugin host-local, ADD: ") && msg.contains("no IP addresses available"), "{msg}");
    conf["ipam"]["type"] = json!("nobody");
    let (code, msg) = b.call("ADD", &conf).error();
    let expected = "ipam.type: there is no plugin \"nobody\" in CNI_PATH (/run/bin:/usr/lib/cni)";
    assert_eq!((code, msg.as_str()), (7, expected));
    conf["ipam"]["type"] = json!("later");
    plugin("later", "echo '{\"code\": 11, \"msg\": \"no lease yet\"}'; echo because >&2; exit 1");
    let answer = b.call("ADD", &conf);
    assert!(answer.stderr.contains("because\n"), "{}", answer.stderr);
    assert_eq!(answer.error(), (11, "IPAM plugin later, ADD: no lease yet".to_owned()));
    assert_eq!(log("later"), ["ADD b eth0 /run/netns/b", "DEL b eth0 /run/netns/b"]);
}

#[test]
fn every_verb_is_forwarded() {
    let node = Node::enter();
    let result = r#"{"cniVersion": "1.1.0", "ips": [{"address": "10.1.0.7/24"}]}"#;
    plugin("spy", &format!("cat >\"$0.$CNI_COMMAND\"; [ $CNI_COMMAND != ADD ] || echo '{result}'"));
    let mut conf = with("1.1.0", &json!({"type": "spy", "dataDir": "/run/theirs", "unknown": {"key": [1]}}));
    fs::create_dir_all("/run/theirs/net").unwrap();
    fs::write("/run/theirs/net/10.1.0.9", "a\neth0").unwrap();
    let pod = node.pod("a");
    conf["prevResult"] = Value::Null;
    let added = pod.call("ADD", &conf).ok();
    assert_eq!(added["ips"][0]["address"], "10.1.0.7/32");
    let stdin: Value = serde_json::from_str(&fs::read_to_string("/run/bin/spy.ADD").unwrap()).unwrap();
    assert_eq!(stdin, conf);
    assert_eq!(pod.call("STATUS", &conf).ok(), Value::Null);
    conf["prevResult"] = added;
    assert_eq!(pod.call("CHECK", &conf).ok(), Value::Null);
    conf["cni.dev/valid-attachments"] = json!([]);
    let path = [("CNI_PATH", crate::node::CNI_PATH)];
    assert_eq!(call("GC", &path, &conf.to_string()).ok(), Value::Null);
    let log = log("spy");
    let netns = "/run/netns/a";
    assert_eq!(
        log[..3],
        [format!("ADD a eth0 {netns}"), format!("STATUS a eth0 {netns}"), format!("CHECK a eth0 {netns}")]
    );
    assert_eq!(log[3..], ["DEL a eth0", "GC"], "GC gives back one by one, then all that nobody knows of");
    assert_eq!(node.remains(), [] as [String; 0]);
    let theirs: Vec<_> = fs::read_dir("/run/theirs/net").unwrap().map(|item| item.unwrap().file_name()).collect();
    assert_eq!(theirs, ["10.1.0.9"], "a store of the same layout, but not ours");
}

#[test]
fn whoever_gave_the_address_gets_it_back_whatever_the_configuration_has_become() {
    let node = Node::enter();
    let (a, b) = (node.pod("a"), node.pod("b"));
    let delegated = with("1.0.0", &host_local(&["10.1.0.0/24"]));
    let own = conf("1.0.0", &["10.2.0.0/24"]);
    a.call("ADD", &delegated).ok();
    b.call("ADD", &own).ok();
    // host-local finds its store by a key that is still there.
    let mut changed = own.clone();
    changed["ipam"]["dataDir"] = json!("/run/host-local");
    a.call("DEL", &changed).ok();
    b.call("DEL", &delegated).ok();
    assert_eq!((host_local_leases(), node.remains()), (Vec::new(), Vec::new()));
}

#[test]
fn an_address_that_cannot_be_given_back_is_an_error_until_it_can() {
    let node = Node::enter();
    plugin(
        "moody",
        "[ $CNI_COMMAND != ADD ] || exec echo '{\"ips\": [{\"address\": \"10.1.0.7/24\"}]}'; exit $(cat $0.mood)",
    );
    fs::write("/run/bin/moody.mood", "1").unwrap();
    let conf = with("1.0.0", &json!({"type": "moody"}));
    let pod = node.pod("a");
    pod.call("ADD", &conf).ok();
    assert_eq!(pod.call("DEL", &conf).error(), (105, "a:eth0 is not released completely".to_owned()));
    assert_eq!(pod.link("eth0"), None, "the rest is done");
    fs::write("/run/bin/moody.mood", "0").unwrap();
    pod.call("DEL", &conf).ok();
    assert_eq!(node.remains(), [] as [String; 0]);
}
