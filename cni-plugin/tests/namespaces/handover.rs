//! A node that is switched over from host-local while its pods run.

use std::{fs, net::IpAddr, path::Path};

use serde_json::{Value, json};

use crate::{
    list::{List, host_local, host_local_leases, vendor},
    node::{Node, addresses, call, conf, echo, start_program},
};

#[test]
fn pods_of_host_local_keep_their_addresses_and_give_them_back() {
    let node = Node::enter();
    let before = List { version: "1.0.0", plugins: vec![vendor("ptp", &["10.1.0.0/29", "fd00:1::/64"])] };
    let olds = [node.pod("old1"), node.pod("old2")];
    let held: Vec<_> = olds.iter().map(|pod| addresses(&before.add(pod)[0])).collect();
    assert_eq!(host_local_leases().len(), 4);
    let mut conf = conf("1.1.0", &["10.1.0.0/29", "fd00:1::/64"]);
    conf["ipam"]["hostLocalDir"] = json!("/run/host-local/net");
    // It goes on where host-local was.
    let new = node.pod("new");
    let given = addresses(&new.call("ADD", &conf).ok());
    assert_eq!(given, ["10.1.0.4", "fd00:1::4"].map(|ip| ip.parse::<IpAddr>().unwrap()));
    for ip in &held[0] {
        assert!(new.run(|| echo(&olds[0], *ip)).is_some(), "old and new pods reach each other");
    }
    // The runtime may have either plugin's configuration at hand for a pod of before.
    olds[0].call("DEL", &conf).ok();
    assert_eq!(host_local_leases(), ["10.1.0.3", "fd00:1::3"]);
    before.del(&olds[1], &Value::Null);
    assert_eq!(host_local_leases(), [] as [String; 0]);
    // host-local alone was told of that one: it stays taken here until the runtime says who is left.
    conf["cni.dev/valid-attachments"] = json!([{"containerID": "new", "ifname": "eth0"}]);
    assert!(Path::new("/run/caracal/ipam/net/10.1.0.3").exists());
    call("GC", &[], &conf.to_string()).ok();
    assert!(!Path::new("/run/caracal/ipam/net/10.1.0.3").exists());
    new.call("DEL", &conf).ok();
    let mut remains = node.remains();
    // ptp's veth goes with its pod's namespace, and where we are with host-local may be noted.
    remains.retain(|name| !name.starts_with("veth") && name != "/run/caracal/ipam/net/host-local");
    assert_eq!(remains, [] as [String; 0]);
}

#[test]
fn host_local_can_be_switched_back_to() {
    let node = Node::enter();
    let old = node.pod("old");
    let program = Path::new("/usr/lib/cni/host-local");
    let mut theirs = json!({"cniVersion": "1.0.0", "name": "net", "type": "x", "ipam": host_local(&["10.1.0.0/24"])});
    let host_local_call = |verb: &str, theirs: &Value| {
        let child = start_program(program, verb, &old.env("eth0"), &theirs.to_string());
        crate::node::answer(child).ok()
    };
    host_local_call("ADD", &theirs);
    let mut conf = conf("1.1.0", &["10.1.0.0/24"]);
    conf["ipam"]["hostLocalDir"] = json!("/run/host-local/net");
    let new = node.pod("new");
    new.call("ADD", &conf).ok();
    theirs["prevResult"] = json!({"cniVersion": "1.0.0"});
    host_local_call("CHECK", &theirs);
    host_local_call("DEL", &theirs);
    assert_eq!(host_local_leases(), [] as [String; 0]);
}

#[test]
fn an_ipam_that_is_host_local_itself_is_none_of_our_business() {
    let node = Node::enter();
    let pod = node.pod("a");
    let mut conf = conf("1.0.0", &[]);
    conf["ipam"] = host_local(&["10.1.0.0/24"]);
    conf["ipam"]["hostLocalDir"] = json!("/run/host-local/net");
    pod.call("ADD", &conf).ok();
    conf["cniVersion"] = json!("1.1.0");
    conf["cni.dev/valid-attachments"] = json!([{"containerID": "a", "ifname": "eth0"}]);
    // host-local of Debian does not know GC; what matters is what ours does.
    let _ = call("GC", &[("CNI_PATH", crate::node::CNI_PATH)], &conf.to_string());
    assert!(!Path::new("/run/caracal/ipam/net").exists());
    assert_eq!(host_local_leases(), ["10.1.0.2"]);
    conf["cniVersion"] = json!("1.0.0");
    pod.call("DEL", &conf).ok();
    assert_eq!(fs::read_dir("/run/caracal/endpoints/net").unwrap().count(), 0);
}
