//! Every error code the plugin can answer with, but 999, which takes a panic, 103, which takes a data plane, 106, which takes
//! another IPAM plugin, and 107, which takes another plugin before this one.

use nix::mount::{MsFlags, mount};
use serde_json::json;

use crate::node::{Node, call, conf};

const SUBNET: [&str; 1] = ["10.1.0.0/30"];

fn env(netns: &str) -> [(&'static str, &str); 3] {
    [("CNI_CONTAINERID", "a"), ("CNI_IFNAME", "eth0"), ("CNI_NETNS", netns)]
}

#[test]
fn of_the_call_itself() {
    let add = |stdin: &str| call("ADD", &env("/run/netns/nothing"), stdin).error();
    let (code, _) = add(&conf("0.2.0", &SUBNET).to_string());
    assert_eq!(code, 1);
    let mut masquerade = conf("1.0.0", &SUBNET);
    masquerade["ipMasq"] = json!(true);
    let (code, msg) = add(&masquerade.to_string());
    assert_eq!((code, msg.starts_with("ipMasq: true is not supported")), (2, true), "{msg}");
    assert_eq!(
        call("ADD", &[], "{}").error(),
        (4, "required but not set: CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME".into())
    );
    assert_eq!(add("{").0, 6);
    let (code, msg) = add(r#"{"cniVersion": "1.0.0", "name": "n"}"#);
    assert_eq!((code, msg.split(';').next()), (7, Some("ipam: is missing")));
}

#[test]
fn of_the_namespace() {
    let _node = Node::enter();
    let add = |netns: &str| call("ADD", &env(netns), &conf("1.0.0", &SUBNET).to_string()).error();
    let (code, msg) = add("/run/netns/nothing");
    assert_eq!((code, msg.as_str()), (4, "CNI_NETNS: /run/netns/nothing: No such file or directory (os error 2)"));
    std::fs::write("/run/netns/file", "").unwrap();
    let (code, msg) = add("/run/netns/file");
    assert_eq!(code, 8);
    assert!(msg.starts_with("CNI_NETNS: /run/netns/file: cannot be entered as a network namespace"), "{msg}");
    let (code, msg) = add("/proc/thread-self/ns/net");
    assert_eq!((code, msg.as_str()), (8, "CNI_NETNS: /proc/thread-self/ns/net is the namespace of the plugin itself"));
}

#[test]
fn errors_are_logged_to_stderr_as_loud_as_configured() {
    let _node = Node::enter();
    let mut conf = conf("1.0.0", &SUBNET);
    let add = |conf: &serde_json::Value| call("ADD", &env("/run/netns/nothing"), &conf.to_string()).stderr;
    assert!(add(&conf).contains("CNI_NETNS: /run/netns/nothing: No such file"));
    conf["logLevel"] = json!("off");
    assert_eq!(add(&conf), "");
    conf["logLevel"] = json!("loud");
    assert!(add(&conf).contains("logLevel: \"loud\" is not one of"));
}

#[test]
fn of_the_state() {
    let node = Node::enter();
    let (a, b) = (node.pod("a"), node.pod("b"));
    let mut conf = conf("1.1.0", &SUBNET);
    conf["policy"] = json!("required");
    let (code, msg) = a.call("ADD", &conf).error();
    let no_data_plane = "policy is \"required\", but no data plane is pinned under /sys/fs/bpf/caracal; \
                         caracal-agent pins it when it starts";
    assert_eq!((code, msg.as_str()), (11, no_data_plane));
    assert_eq!(a.call("STATUS", &conf).error(), (50, no_data_plane.to_owned()));
    conf["policy"] = json!("none");
    assert_eq!(a.call("STATUS", &conf).exit, 0);
    let result = a.call("ADD", &conf).ok();
    assert_eq!(a.call("ADD", &conf).error().0, 100);
    let exhausted = "no IP addresses available in range set 10.1.0.1-10.1.0.2: 1 in use of 1, 0 cooling";
    assert_eq!(b.call("ADD", &conf).error(), (101, exhausted.to_owned()));
    assert_eq!(b.call("STATUS", &conf).error(), (50, exhausted.to_owned()));
    conf["prevResult"] = result;
    let remount = |flags| {
        let nothing = None::<&str>;
        mount(nothing, "/run", nothing, MsFlags::MS_REMOUNT | flags, nothing).unwrap();
    };
    remount(MsFlags::MS_RDONLY);
    conf["prevResult"].take();
    let (code, msg) = b.call("ADD", &conf).error();
    assert_eq!(code, 5, "{msg}");
    assert!(msg.contains("/run/caracal/endpoints/net"), "{msg}");
    assert_eq!(a.call("DEL", &conf).error().0, 105);
    remount(MsFlags::empty());
    assert_eq!(a.call("DEL", &conf).exit, 0, "what DEL could not do, the next one does");
    assert_eq!(node.remains(), [] as [String; 0]);
}
