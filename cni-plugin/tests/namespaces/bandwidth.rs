//! Limits: on the link, felt by traffic, checked, lifted.

use std::{
    io::{Read, Write},
    net::{IpAddr, TcpListener, TcpStream},
    thread,
};

use caracal_datapath::abi::Endpoint;
use serde_json::{Value, json};

use crate::{
    dataplane::load,
    list::{List, ours, vendor},
    node::{Node, Pod, addresses, conf},
};

/// 80 Mbit/s towards the pod, 40 from it.
fn limits() -> Value {
    let most = u32::MAX;
    json!({"bandwidth":
        {"ingressRate": 80_000_000, "ingressBurst": most, "egressRate": 40_000_000, "egressBurst": 100_000}})
}

/// The token bucket of a link: bytes per second, and how often it had to let packets wait.
#[track_caller]
fn bucket(ifname: &str) -> Option<(u64, u64)> {
    #[expect(clippy::disallowed_methods, reason = "somebody else looks at the link")]
    let output = std::process::Command::new("tc").args(["-s", "-json", "qdisc", "show", "dev", ifname]).output();
    let qdiscs: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    let bucket = qdiscs.as_array().unwrap().iter().find(|qdisc| qdisc["kind"] == "tbf")?;
    Some((bucket["options"]["rate"].as_u64()?, bucket["overlimits"].as_u64()?))
}

/// Rates of the host's end and of the pod's.
fn rates(host: &str, pod: &Pod) -> (Option<u64>, Option<u64>) {
    let rate = |bucket: Option<(u64, u64)>| bucket.map(|(rate, _)| rate);
    (rate(bucket(host)), rate(pod.run(|| bucket("eth0"))))
}

/// Sends half a megabyte from one pod to another.
fn transfer(from: &Pod, to: &Pod, address: IpAddr) {
    const BYTES: usize = 512 * 1024;
    let listener = to.run(|| TcpListener::bind((address, 0)).unwrap());
    let server = listener.local_addr().unwrap();
    let receive = thread::spawn(move || {
        let mut received = Vec::new();
        listener.accept().unwrap().0.read_to_end(&mut received).unwrap();
        received.len()
    });
    from.run(|| TcpStream::connect(server).unwrap().write_all(&vec![7; BYTES]).unwrap());
    assert_eq!(receive.join().unwrap(), BYTES);
}

#[test]
fn both_directions_are_limited_while_the_pod_lives() {
    let node = Node::enter();
    let pinned = load();
    let mut conf = conf("1.1.0", &["10.1.0.0/24", "fd00::/64"]);
    let (a, b) = (node.pod("a"), node.pod("b"));
    let b_result = b.call("ADD", &conf).ok();
    conf["runtimeConfig"] = limits();
    let result = a.call("ADD", &conf).ok();
    let host = result["interfaces"][0]["name"].as_str().unwrap();
    assert_eq!(rates(host, &a), (Some(10_000_000), Some(5_000_000)));
    let flags = |pod: &Value| {
        let ip = addresses(pod)[0];
        pinned.endpoints().unwrap().iter().find(|(addr, _)| *addr == ip).unwrap().1.flags
    };
    assert_eq!((flags(&result), flags(&b_result)), (Endpoint::QUEUED, 0));

    transfer(&a, &b, addresses(&b_result)[0]);
    assert!(a.run(|| bucket("eth0")).unwrap().1 > 0, "what the pod sends had to wait");
    transfer(&b, &a, addresses(&result)[1]);
    assert!(bucket(host).unwrap().1 > 0, "what the pod receives had to wait");

    conf["prevResult"] = result.clone();
    assert_eq!(a.call("CHECK", &conf).ok(), Value::Null);
    tc(&a, "qdisc del dev eth0 root");
    assert_eq!(a.call("CHECK", &conf).error(), (104, "eth0 is not limited, was limited to 5000000 byte/s".to_owned()));
    a.call("DEL", &conf).ok();
    b.call("DEL", &conf).ok();
    assert_eq!(node.remains(), [] as [String; 0]);
}

fn tc(pod: &Pod, command: &str) {
    pod.run(|| {
        #[expect(clippy::disallowed_methods, reason = "somebody else changes the link")]
        let done = std::process::Command::new("tc").args(command.split(' ')).status().unwrap();
        assert!(done.success(), "tc {command}");
    });
}

#[test]
fn the_links_of_other_plugins_are_limited_and_left_as_they_were() {
    let node = Node::enter();
    let _pinned = load();
    let mut caracal = ours();
    caracal["runtimeConfig"] = limits();
    let list = List { version: "1.0.0", plugins: vec![vendor("ptp", &["10.1.0.0/24"]), caracal] };
    let pod = node.pod("a");
    let results = list.add(&pod);
    let host = node.link_of_index(pod.link("eth0").unwrap().peer.unwrap()).unwrap();
    assert_eq!(rates(&host.name, &pod), (Some(10_000_000), Some(5_000_000)));
    list.check(&pod, &results[1]);
    list.call("DEL", &pod, &list.plugins[1], Some(&results[1])).ok();
    assert_eq!(rates(&host.name, &pod), (None, None));
    list.del(&pod, &results[1]);
}

#[test]
fn limits_that_cannot_be_are_refused_before_anything_is_made() {
    let node = Node::enter();
    let mut conf = conf("1.1.0", &["10.1.0.0/24"]);
    conf["runtimeConfig"] = json!({"bandwidth": {"egressRate": 5}});
    let (code, msg) = node.pod("a").call("ADD", &conf).error();
    assert_eq!(
        (code, msg),
        (7, "runtimeConfig.bandwidth.egressRate: 5 bit/s is less than a byte per second".to_owned())
    );
    assert_eq!(node.remains(), [] as [String; 0]);
}
