//! With a data plane pinned: programs in front of every pod, and their addresses known to it.

use std::{collections::BTreeSet, fs};

use caracal_cni_plugin::{
    config::Attach,
    dataplane::{DataPlane, PodLink, Queues},
    netlink::{Socket, has_ingress_filter},
};
use caracal_datapath::{Features, Loader, Pinned, Root, abi::Endpoint};
use nix::net::if_::{Interface, if_nameindex};
use serde_json::json;

use crate::node::{Node, addresses, conf, echo};

/// Loads and pins the data plane.
pub(crate) fn load() -> Pinned {
    let root = Root::default();
    Loader::new(Features::probe()).load(&root).unwrap();
    Pinned::open(&root).unwrap().unwrap()
}

/// Numbers of the links that have a program in front of them, by a filter or by a pin; a pin that is left over counts.
pub(crate) fn guarded() -> BTreeSet<u32> {
    let mut socket = Socket::open().unwrap();
    let links = if_nameindex().unwrap();
    let mut guarded: BTreeSet<u32> =
        links.iter().map(Interface::index).filter(|index| has_ingress_filter(&mut socket, *index).unwrap()).collect();
    let pins = fs::read_dir(Root::default().links_dir()).unwrap().map(|pin| pin.unwrap().file_name());
    guarded.extend(pins.map(|pin| pin.to_str().unwrap().rsplit('-').next().unwrap().parse::<u32>().unwrap()));
    guarded
}

#[test]
fn pods_are_known_while_they_live() {
    let node = Node::enter();
    let pinned = load();
    let mut conf = conf("1.1.0", &["10.1.0.0/24", "fd00::/64"]);
    conf["policy"] = json!("required");
    let (a, b) = (node.pod("a"), node.pod("b"));
    let result = a.call("ADD", &conf).ok();
    let b_result = b.call("ADD", &conf).ok();
    let host = node.link(result["interfaces"][0]["name"].as_str().unwrap()).unwrap();
    let expected = Endpoint {
        ifindex: host.index,
        pod_mac: a.link("eth0").unwrap().mac.unwrap(),
        host_mac: host.mac.unwrap(),
        ..Endpoint::default()
    };
    let of_a = |ip: &std::net::IpAddr| {
        pinned.endpoints().unwrap().into_iter().find(|(addr, _)| addr == ip).map(|(_, endpoint)| endpoint)
    };
    for (ip, to) in addresses(&result).iter().zip(addresses(&b_result)) {
        assert_eq!(of_a(ip), Some(expected));
        assert_eq!(a.run(|| echo(&b, to)), Some(*ip));
        assert!(echo(&b, to).is_some(), "host to pod");
    }
    let flows = pinned.flows4().unwrap().entries().unwrap().len() + pinned.flows6().unwrap().entries().unwrap().len();
    assert!(flows >= 4, "both directions of both families went through the programs: {flows}");
    a.call("DEL", &conf).ok();
    assert_eq!(pinned.endpoints().unwrap().len(), 2, "the other pod's");
    b.remove();
    b.call("DEL", &conf).ok();
    assert_eq!(pinned.endpoints().unwrap(), []);
    assert_eq!(pinned.flows4().unwrap().entries().unwrap(), []);
    assert_eq!((guarded(), node.remains()), ([].into(), Vec::new()));
}

#[test]
fn a_settled_pod_ends_like_any_other() {
    let node = Node::enter();
    let pinned = load();
    let conf = conf("1.1.0", &["10.1.0.0/24", "fd00::/64"]);
    let pod = node.pod("a");
    let result = pod.call("ADD", &conf).ok();
    let host = node.link(result["interfaces"][0]["name"].as_str().unwrap()).unwrap();
    assert_eq!(guarded(), [host.index].into());
    pinned.settle_pod(host.index).unwrap();
    assert_eq!(guarded(), [host.index].into());
    pod.call("DEL", &conf).ok();
    assert_eq!((guarded(), pinned.endpoints().unwrap(), node.remains()), ([].into(), Vec::new(), Vec::new()));
}

#[test]
fn an_add_that_fails_after_the_programs_takes_them_off_again() {
    let node = Node::enter();
    let pinned = load();
    let mut conf = conf("1.1.0", &["10.1.0.0/24", "fd00::/64"]);
    conf["ipam"]["routes"] = json!([{"dst": "10.5.0.0/16"}, {"dst": "10.5.0.0/16"}]);
    assert_eq!(node.pod("a").call("ADD", &conf).error().0, 102);
    assert_eq!(pinned.endpoints().unwrap(), []);
    assert_eq!(guarded(), [].into());
    assert_eq!(node.remains(), [] as [String; 0]);
}

#[test]
fn a_data_plane_that_refuses_is_an_error_and_undone() {
    let node = Node::enter();
    let _pinned = load();
    // A map of another shape where the endpoints of IPv4 should be.
    let root = Root::default();
    fs::remove_file(root.map("ENDPOINTS4")).unwrap();
    fs::rename(root.map("FLOWS4"), root.map("ENDPOINTS4")).unwrap();
    let conf = conf("1.1.0", &["10.1.0.0/24"]);
    let pod = node.pod("a");
    let answer = pod.call("ADD", &conf);
    assert_eq!(answer.document["code"], 103, "{answer:?}");
    assert!(answer.document["msg"].as_str().unwrap().starts_with("data plane: "), "{answer:?}");
    assert_eq!(pod.link("eth0"), None);
}

#[test]
fn a_link_can_be_attached_again_at_once() {
    let node = Node::enter();
    let _pinned = load();
    let pod = node.pod("a");
    let result = pod.call("ADD", &conf("1.1.0", &["10.1.0.0/24"])).ok();
    let host = node.link(result["interfaces"][0]["name"].as_str().unwrap()).unwrap();
    let mac = host.mac.unwrap();
    let link = PodLink { ifindex: host.index, pod_mac: mac, host_mac: mac };
    let data_plane = DataPlane::open(Root::default().path()).unwrap();
    let queues = Queues { attach: Attach::Tcx, queued: false, filtered: false };
    for round in 0..100 {
        assert!(data_plane.detach(host.index, &addresses(&result)).is_empty());
        data_plane.attach(link, queues, &addresses(&result)).unwrap_or_else(|e| panic!("round {round}: {e}"));
    }
}
