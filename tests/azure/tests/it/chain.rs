//! Where in the list we are, and how often.

use caracal_lab::{Node, PodOptions, Site};
use serde_json::{Value, json};

use crate::{
    aks::{Aks, Mode, conflist, options, talk},
    vendor::Vendor,
};

with_both!(port_mappings_work_before_and_after_us, twice_in_one_list_is_as_good_as_once, what_we_refuse_is_given_back);

/// A port of the node's and one of the pod's.
const HOST_PORT: u16 = 8080;
const POD_PORT: u16 = 80;

/// The list with its plugins in this order.
fn ordered(types: &[&str]) -> Value {
    let mut list = conflist(Mode::Overlay);
    let plugins = list["plugins"].as_array().unwrap().clone();
    let find = |kind: &&str| plugins.iter().find(|plugin| plugin["type"] == **kind).unwrap().clone();
    list["plugins"] = types.iter().map(find).collect();
    list
}

fn port_mappings_work_before_and_after_us(vendor: &Vendor) {
    let aks = Aks::start(vendor, Mode::Overlay, 2);
    let node = aks.node("n1");
    let other = aks.pod("n1", "other");
    for types in [["azure-vnet", "portmap", "caracal"], ["azure-vnet", "caracal", "portmap"]] {
        node.set_conflist(&ordered(&types)).unwrap();
        let mapping = json!([{"hostPort": HOST_PORT, "containerPort": POD_PORT, "protocol": "tcp"}]);
        let capabilities = [("portMappings".to_owned(), mapping)].into_iter().collect();
        let pod = node.pod_with("server", &PodOptions { capabilities, ..options() }).unwrap();
        talk(&other, &pod);
        let server = pod.serve(&["tcp/80"]).unwrap();
        let from_node = aks.node("n2").tcp_roundtrip((node.ip4(), HOST_PORT), b"?").unwrap();
        assert_eq!(from_node.bytes, b"?", "{types:?}");
        let from_pod = other.tcp_roundtrip((node.ip4(), HOST_PORT), &[7; 10_000]).unwrap();
        assert_eq!(from_pod.bytes.len(), 10_000, "{types:?}");
        drop(server);
        pod.delete().unwrap();
    }
    other.delete().unwrap();
    assert_eq!(aks.remains("n1"), [] as [String; 0]);
    aks.end();
}

/// In the vendor's file, and in a file that newer runtimes add to its list.
fn twice_in_one_list_is_as_good_as_once(vendor: &Vendor) {
    let aks = Aks::start(vendor, Mode::DualStack, 1);
    let again = json!({"type": "caracal"}).to_string();
    let node: &Node = aks.node("n1");
    node.machine().write_file("/etc/cni/net.d/azure/50-caracal.conf", again).unwrap();
    let [a, b] = ["a", "b"].map(|name| aks.pod("n1", name));
    let ours = a.runs().iter().filter(|run| run.plugin == "caracal").map(|run| &run.stdout);
    let ours: Vec<_> = ours.collect();
    assert_eq!(ours.len(), 2);
    assert_eq!(ours[0], ours[1]);
    assert_eq!(aks.guarded("n1").len(), 4);
    talk(&a, &b);
    for pod in [a, b] {
        pod.delete().unwrap();
    }
    assert_eq!(aks.remains("n1"), [] as [String; 0]);
    aks.end();
}

/// No pod without our programs, and there are none: the pod fails, and Azure has its address back.
fn what_we_refuse_is_given_back(vendor: &Vendor) {
    let mut aks = Aks::without_agents(vendor, Mode::Overlay, 1);
    let mut list = conflist(Mode::Overlay);
    let ours = list["plugins"].as_array_mut().unwrap().last_mut().unwrap();
    ours["policy"] = json!("required");
    aks.node("n1").set_conflist(&list).unwrap();
    let refused = aks.node("n1").pod_with("a", &options()).unwrap_err();
    assert!(format!("{refused:#}").contains("ADD of plugin caracal"), "{refused:#}");
    assert_eq!(aks.held("n1").len(), 0);
    aks.start_agent("n1");
    aks.pod("n1", "a").delete().unwrap();
    assert_eq!(aks.remains("n1"), [] as [String; 0]);
    aks.end();
}
