//! CHECK and GC.

use caracal_cni_plugin::netlink::{Socket, link_by_name, link_delete};
use serde_json::{Value, json};

use crate::node::{Node, Pod, call, conf, echo};

#[test]
fn check_passes_after_add_and_finds_what_is_missing() {
    let node = Node::enter();
    let mut conf = conf("1.1.0", &["10.1.0.0/24", "fd00::/64"]);
    conf["ipam"]["routes"] = json!([{"dst": "10.96.0.0/12", "priority": 7}]);
    let pod = node.pod("a");
    assert_eq!(pod.call("CHECK", &conf).error(), (7, "prevResult: is missing; CHECK compares with it".to_owned()));
    let result = pod.call("ADD", &conf).ok();
    conf["prevResult"] = result.clone();
    assert_eq!(pod.call("CHECK", &conf).ok(), Value::Null);
    let gone = |commands: &[&[&str]]| {
        for command in commands {
            ip(&pod, command);
        }
        let (code, msg) = pod.call("CHECK", &conf).error();
        assert_eq!(code, 104, "{msg}");
        msg
    };
    assert_eq!(gone(&[&["route", "del", "10.96.0.0/12"]]), "eth0: route to 10.96.0.0/12 is gone");
    assert_eq!(gone(&[&["addr", "del", "fd00::2/128", "dev", "eth0"]]), "eth0: address fd00::2/128 is gone");
    assert_eq!(gone(&[&["link", "set", "eth0", "down"]]), "eth0: is switched off");
    assert_eq!(gone(&[&["link", "set", "eth0", "name", "eth9"]]), "the container has no interface eth0");
    pod.run(|| {
        let mut socket = Socket::open().unwrap();
        let link = link_by_name(&mut socket, "eth9").unwrap().unwrap();
        socket.call(link_delete(link.index)).unwrap();
    });
    let host = result["interfaces"][0]["name"].as_str().unwrap();
    assert_eq!(pod.call("CHECK", &conf).error(), (104, format!("the host has no link {host}, or it is changed")));
    conf.as_object_mut().unwrap().remove("prevResult");
    pod.call("DEL", &conf).ok();
    conf["prevResult"] = result;
    assert_eq!(pod.call("CHECK", &conf).error(), (104, "there is no record of a:eth0".to_owned()));
}

#[test]
fn gc_spares_the_valid_and_leaves_nothing_of_the_rest() {
    let node = Node::enter();
    let mut conf = conf("1.1.0", &["10.1.0.0/24"]);
    let pods: Vec<_> = ["a", "b", "c"].map(|name| node.pod(name)).into();
    for pod in &pods {
        pod.call("ADD", &conf).ok();
    }
    // One of which only the address is known, one whose namespace is gone.
    std::fs::remove_file("/run/caracal/endpoints/net/a:eth0").unwrap();
    pods[1].remove();
    assert_eq!(call("GC", &[], &conf.to_string()).error(), (7, "cni.dev/valid-attachments: is missing".to_owned()));
    conf["cni.dev/valid-attachments"] = json!([{"containerID": "c", "ifname": "eth0"}]);
    assert_eq!(call("GC", &[], &conf.to_string()).ok(), Value::Null);
    assert_eq!(pods[0].link("eth0"), None);
    assert!(echo(&pods[2], "10.1.0.4".parse().unwrap()).is_some());
    conf["cni.dev/valid-attachments"] = json!([]);
    assert_eq!(call("GC", &[], &conf.to_string()).ok(), Value::Null);
    assert_eq!(node.remains(), [] as [String; 0]);
}

fn ip(pod: &Pod, args: &[&str]) {
    pod.run(|| {
        #[expect(clippy::disallowed_methods, reason = "somebody else spoils what the plugin made")]
        let done = std::process::Command::new("ip").args(args).status().unwrap();
        assert!(done.success(), "ip {args:?}");
    });
}
