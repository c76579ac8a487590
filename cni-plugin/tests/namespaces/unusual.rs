//! Chained mode behind links made by hand: as azure-vnet makes them, and as nobody should.

use std::{fs, path::Path};

use caracal_datapath::Pinned;
use caracal_ipam::{Attachment, Config, Ipam, json::Node as Json};
use serde_json::{Value, json};

use crate::{
    dataplane::{guarded, load},
    list::{List, ours, vendor},
    node::{Node, Pod, addresses, call, echo},
};

/// Runs `ip` on the machine of the calling thread.
#[track_caller]
fn ip(command: &str) {
    #[expect(clippy::disallowed_methods, reason = "somebody else makes the links")]
    let done = std::process::Command::new("ip").args(command.split(' ')).status().unwrap();
    assert!(done.success(), "ip {command}");
}

/// What azure-vnet's transparent mode makes of a pod, and what it prints.
fn azure(pod: &Pod, host_ifname: &str, address: &str) -> Value {
    let name = &pod.name;
    ip(&format!("link add {host_ifname} address aa:aa:aa:aa:aa:aa type veth peer name eth0 netns {name}"));
    ip(&format!("link set {host_ifname} up"));
    fs::write(format!("/proc/sys/net/ipv4/conf/{host_ifname}/proxy_arp"), "1").unwrap();
    ip(&format!("route add {address}/32 dev {host_ifname} scope link proto static"));
    ip(&format!("-n {name} address add {address}/16 dev eth0 noprefixroute"));
    ip(&format!("-n {name} link set eth0 up"));
    ip(&format!("-n {name} route add 169.254.1.1/32 dev eth0 scope link"));
    ip(&format!("-n {name} route add default via 169.254.1.1 dev eth0"));
    ip(&format!("-n {name} neighbour add 169.254.1.1 lladdr aa:aa:aa:aa:aa:aa dev eth0 nud probe"));
    json!({
        "cniVersion": "0.3.0",
        "interfaces": [{"name": "eth0"}],
        "ips": [{"version": "4", "address": format!("{address}/16"), "gateway": "169.254.1.1"}],
        "routes": [{"dst": "0.0.0.0/0", "gw": "169.254.1.1"}],
        "dns": {},
    })
}

/// A machine that forwards and has a default route, without which the kernel does not answer ARP for others.
fn azure_node() -> Node {
    let node = Node::enter();
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
    ip("link add uplink type bridge");
    ip("link set uplink up");
    ip("route add default dev uplink");
    node
}

fn list(version: &'static str, policy: &str) -> List {
    List { version, plugins: vec![json!({"type": "caracal", "policy": policy})] }
}

/// Which address belongs to which link, as the data plane has it.
fn known(pinned: &Pinned) -> Vec<(String, u32)> {
    let endpoints = pinned.endpoints().unwrap().into_iter();
    let mut known: Vec<_> = endpoints.map(|(ip, endpoint)| (ip.to_string(), endpoint.ifindex)).collect();
    known.sort();
    known
}

#[test]
fn azures_pods_are_guarded_and_its_links_left_alone() {
    let node = azure_node();
    let pinned = load();
    let list = list("0.3.0", "required");
    let (a, b) = (node.pod("a"), node.pod("b"));
    let previous = azure(&a, "azv1", "10.244.1.7");
    let b_previous = azure(&b, "azv2", "10.244.1.8");
    assert_eq!(list.call("ADD", &a, &list.plugins[0], Some(&previous)).ok(), previous);
    assert_eq!(list.call("ADD", &b, &list.plugins[0], Some(&b_previous)).ok(), b_previous);
    let index = |name| node.link(name).unwrap().index;
    assert_eq!(known(&pinned), [("10.244.1.7".to_owned(), index("azv1")), ("10.244.1.8".to_owned(), index("azv2"))]);
    assert_eq!(a.run(|| echo(&b, addresses(&b_previous)[0])), Some(addresses(&previous)[0]));
    assert!(!pinned.flows4().unwrap().entries().unwrap().is_empty());
    assert_eq!(list.call("DEL", &a, &list.plugins[0], None).ok(), Value::Null);
    assert_eq!(known(&pinned), [("10.244.1.8".to_owned(), index("azv2"))]);
    assert!(!guarded().contains(&index("azv1")) && guarded().contains(&index("azv2")));
    assert!(a.link("eth0").is_some_and(|link| link.is_up));
    assert!(echo(&a, addresses(&previous)[0]).is_some(), "route and address are the vendor's to remove");
}

#[test]
fn a_name_that_comes_back_is_another_link() {
    let node = Node::enter();
    let pinned = load();
    let list = list("0.3.0", "required");
    let add = |pod: &Pod, previous: &Value| list.call("ADD", pod, &list.plugins[0], Some(previous)).ok();
    let old = node.pod("old");
    add(&old, &azure(&old, "azv1", "10.244.1.7"));
    let old_link = node.link("azv1").unwrap();
    node.delete(&old_link);
    // The pod's successor has its name and even its address, before the runtime has seen the old one off.
    let new = node.pod("new");
    add(&new, &azure(&new, "azv1", "10.244.1.7"));
    let new_link = node.link("azv1").unwrap();
    assert_ne!(old_link.index, new_link.index);
    list.call("DEL", &old, &list.plugins[0], None).ok();
    assert_eq!(known(&pinned), [("10.244.1.7".to_owned(), new_link.index)]);
    assert!(guarded().contains(&new_link.index) && !guarded().contains(&old_link.index));
    // And one whose own link is made anew.
    node.delete(&new_link);
    let previous = azure(&new, "azv1", "10.244.1.9");
    assert_eq!(add(&new, &previous), previous);
    let newest = node.link("azv1").unwrap();
    assert_eq!(known(&pinned), [("10.244.1.9".to_owned(), newest.index)]);
    assert!(guarded().contains(&newest.index) && !guarded().contains(&new_link.index));
    list.call("DEL", &new, &list.plugins[0], None).ok();
    assert_eq!((known(&pinned), guarded().contains(&newest.index)), (Vec::new(), false));
}

#[test]
fn a_previous_result_makes_it_chained_whatever_else_is_configured() {
    let node = Node::enter();
    let pinned = load();
    let pod = node.pod("a");
    let previous = azure(&pod, "azv1", "10.244.1.7");
    let mut list = list("0.3.0", "required");
    list.plugins[0]["ipam"] = json!({"type": "caracal-ipam", "ranges": [[{"subnet": "10.1.0.0/24"}]]});
    assert_eq!(list.call("ADD", &pod, &list.plugins[0], Some(&previous)).ok(), previous);
    assert_eq!(known(&pinned), [("10.244.1.7".to_owned(), node.link("azv1").unwrap().index)]);
    assert!(!Path::new("/run/caracal/ipam").exists());
    // Now there is nothing to tell it by but the record.
    list.call("DEL", &pod, &list.plugins[0], None).ok();
    assert_eq!(known(&pinned), []);
    assert!(pod.link("eth0").is_some());
}

#[test]
fn addresses_are_the_vendors_to_give_back_also_if_it_has_them_from_our_ipam() {
    let node = Node::enter();
    let pinned = load();
    let pod = node.pod("a");
    let previous = azure(&pod, "azv1", "10.1.0.2");
    let ranges = json!({"ranges": [[{"subnet": "10.1.0.0/24"}]]});
    let config = Config::parse(&Json::root(&ranges), None).unwrap();
    let attachment = Attachment::new("a", "eth0").unwrap();
    let ipam = Ipam::new(Path::new("/run/caracal/ipam"), "net");
    let held = ipam.add(&config, &attachment, &[]).unwrap()[0].address.ip();
    let list = list("1.1.0", "required");
    let mut conf = json!({"cniVersion": "1.1.0", "name": "net", "type": "caracal"});
    conf["cni.dev/valid-attachments"] = json!([]);
    for gc in [false, true] {
        list.call("ADD", &pod, &list.plugins[0], Some(&previous)).ok();
        assert_eq!(known(&pinned).len(), 1);
        if gc {
            call("GC", &[], &conf.to_string()).ok();
        } else {
            list.call("DEL", &pod, &list.plugins[0], None).ok();
        }
        assert_eq!(known(&pinned), []);
        assert_eq!(ipam.addresses(&attachment).unwrap(), [held]);
    }
}

#[test]
fn the_interface_is_believed_and_not_the_previous_result() {
    let node = Node::enter();
    let pinned = load();
    let pod = node.pod("a");
    let mut previous = azure(&pod, "azv1", "10.244.1.7");
    ip("-n a address add fd00::7/128 dev eth0 nodad");
    ip("-n a address add 10.244.1.9/32 dev eth0");
    ip("link add decoy type bridge");
    previous["ips"] = json!([{"version": "4", "address": "10.9.9.9/16", "interface": 7}, {"address": "10.244.1.9/16"}]);
    previous["interfaces"] = json!([{"name": "decoy"}, {"name": "eth0", "sandbox": "/elsewhere"}]);
    let list = list("0.3.0", "required");
    assert_eq!(list.call("ADD", &pod, &list.plugins[0], Some(&previous)).ok(), previous);
    let index = node.link("azv1").unwrap().index;
    let expected = ["10.244.1.7", "10.244.1.9", "fd00::7"].map(|ip| (ip.to_owned(), index));
    assert_eq!(known(&pinned), expected);
    list.call("DEL", &pod, &list.plugins[0], None).ok();
    assert_eq!(known(&pinned), []);
}

#[test]
fn links_that_are_no_use_are_refused_or_let_pass() {
    let node = Node::enter();
    let pinned = load();
    let previous = json!({"cniVersion": "0.4.0", "ips": [{"version": "4", "address": "10.0.0.2/24"}]});
    let cases: [(&str, &[&str], &str); 5] = [
        ("bridge", &["-n bridge link add eth0 type bridge"], "is bridge, not a veth"),
        ("missing", &[], "the container has no interface eth0"),
        (
            "inside",
            &["-n inside link add eth0 type veth peer name eth1"],
            "is not in the network namespace of the host",
        ),
        ("third", &["-n third link add eth0 type veth peer name x netns else"], "is not in the network namespace"),
        ("bare", &["link add azv1 type veth peer name eth0 netns bare"], "interface eth0 has no address"),
    ];
    let _elsewhere = node.pod("else");
    for (name, commands, reason) in cases {
        let pod = node.pod(name);
        // A link here with the number that the pod's peer has elsewhere must not be taken for it.
        ip(&format!("link add decoy-{name} type veth peer name decoy2-{name}"));
        for command in commands {
            ip(command);
        }
        let required = list("0.4.0", "required");
        let (code, msg) = required.call("ADD", &pod, &required.plugins[0], Some(&previous)).error();
        assert_eq!(code, 107, "{msg}");
        assert!(msg.contains(reason), "{msg}");
        let lenient = list("0.4.0", "none");
        let answer = lenient.call("ADD", &pod, &lenient.plugins[0], Some(&previous));
        assert!(answer.stderr.contains(reason), "{}", answer.stderr);
        assert_eq!(answer.ok(), previous);
        let check = lenient.call("CHECK", &pod, &lenient.plugins[0], Some(&previous));
        assert_eq!(check.exit, i32::from(name == "missing"), "{check:?}");
        assert_eq!(lenient.call("DEL", &pod, &lenient.plugins[0], Some(&previous)).ok(), Value::Null);
    }
    assert_eq!(known(&pinned), []);
    assert!(!Path::new("/run/caracal").exists(), "nothing was recorded");
}

#[test]
fn without_a_data_plane_the_pod_passes_and_is_recorded_for_one_that_comes_later() {
    let node = Node::enter();
    let mut bridge =
        List { version: "1.0.0", plugins: vec![vendor("bridge", &["10.1.0.0/24", "fd00:1::/64"]), ours()] };
    let pod = node.pod("a");
    let previous = bridge.call("ADD", &pod, &bridge.plugins[0], None).ok();
    let (code, msg) = bridge.call("ADD", &pod, &bridge.plugins[1], Some(&previous)).error();
    assert_eq!((code, msg.starts_with("policy is \"required\", but no data plane is pinned")), (11, true), "{msg}");
    bridge.plugins[1]["policy"] = json!("none");
    assert_eq!(bridge.call("ADD", &pod, &bridge.plugins[1], Some(&previous)).ok(), previous);
    let text = fs::read_to_string("/run/caracal/endpoints/net/a:eth0").unwrap();
    let record: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let inside = pod.link("eth0").unwrap();
    let outside = node.link_of_index(inside.peer.unwrap()).unwrap();
    assert_eq!((&record["chained"], &record["complete"]), (&json!(true), &json!(true)));
    assert_eq!((&record["hostIfname"], &record["hostIfindex"]), (&json!(outside.name), &json!(outside.index)));
    assert_eq!(record["podMac"], inside.mac.unwrap().to_string());
    assert_eq!(record["hostMac"], outside.mac.unwrap().to_string());
    assert_eq!(record["addresses"], json!(addresses(&previous)));
    bridge.check(&pod, &previous);
    let other = node.pod("b");
    let result = bridge.add(&other).pop().unwrap();
    for (from, to) in addresses(&previous).iter().zip(addresses(&result)) {
        assert_eq!(pod.run(|| echo(&other, to)), Some(*from));
    }
    bridge.del(&pod, &previous);
    assert!(!Path::new("/run/caracal/endpoints/net/a:eth0").exists());
}

#[test]
fn check_finds_what_is_missing() {
    let node = Node::enter();
    let pinned = load();
    let pod = node.pod("a");
    let mut previous = azure(&pod, "azv1", "10.244.1.7");
    let list = list("0.4.0", "required");
    previous["cniVersion"] = json!("0.4.0");
    let check = || list.call("CHECK", &pod, &list.plugins[0], Some(&previous));
    assert_eq!(check().error(), (104, "there is no record of a:eth0".to_owned()));
    list.call("ADD", &pod, &list.plugins[0], Some(&previous)).ok();
    assert_eq!(check().ok(), Value::Null);
    let index = node.link("azv1").unwrap().index;
    pinned.detach_pod(index).unwrap();
    assert_eq!(check().error(), (104, "eth0: no program is attached to its host's end azv1".to_owned()));
    pinned.attach_pod(index).unwrap();
    assert_eq!(check().ok(), Value::Null);
    pinned.remove_endpoint("10.244.1.7".parse().unwrap(), index).unwrap();
    assert_eq!(check().error(), (104, "eth0: the data plane has no endpoint for 10.244.1.7".to_owned()));
    ip("-n a address add 10.250.0.8/16 dev eth0");
    ip("-n a address del 10.244.1.7/16 dev eth0");
    assert_eq!(check().error(), (104, "eth0: address 10.244.1.7 is gone".to_owned()));
    node.delete(&node.link("azv1").unwrap());
    azure(&pod, "azv2", "10.244.1.7");
    let (code, msg) = check().error();
    assert_eq!((code, msg.starts_with("the host's end of eth0 is azv2 (number ")), (104, true), "{msg}");
}

#[test]
fn gc_takes_out_of_the_data_plane_what_is_not_valid_and_no_more() {
    let node = Node::enter();
    let pinned = load();
    let list = list("1.1.0", "required");
    let pods = ["a", "b", "c", "d"].map(|name| node.pod(name));
    for (i, pod) in pods.iter().enumerate() {
        let previous = azure(pod, &format!("azv{i}"), &format!("10.244.1.{i}"));
        list.call("ADD", pod, &list.plugins[0], Some(&previous)).ok();
    }
    // One whose record is lost and whose link is gone; one whose record is lost alone, which is nobody's to judge.
    fs::remove_file("/run/caracal/endpoints/net/c:eth0").unwrap();
    node.delete(&node.link("azv2").unwrap());
    fs::remove_file("/run/caracal/endpoints/net/d:eth0").unwrap();
    let mut conf = json!({"cniVersion": "1.1.0", "name": "net", "type": "caracal"});
    conf["cni.dev/valid-attachments"] = json!([{"containerID": "b", "ifname": "eth0"}]);
    assert_eq!(call("GC", &[], &conf.to_string()).ok(), Value::Null);
    let index = |name| node.link(name).unwrap().index;
    assert_eq!(known(&pinned), [("10.244.1.1".to_owned(), index("azv1")), ("10.244.1.3".to_owned(), index("azv3"))]);
    assert!(pods[0].link("eth0").is_some(), "the vendor's link stays");
    assert!(!guarded().contains(&index("azv0")));
    assert_eq!(call("STATUS", &[], &conf.to_string()).ok(), Value::Null);
}
