//! The whole life of pods, on each of Azure's networks.

use std::time::Duration;

use caracal_lab::{Pod, Site, wait_until};
use serde_json::{Value, json};

use crate::{
    aks::{Aks, Mode, host_end, talk},
    vendor::Vendor,
};

with_both!(node_subnet, swift, overlay, overlay_by_cns, dual_stack, pods_come_to_reach_each_other_directly);

fn node_subnet(vendor: &Vendor) {
    live(vendor, Mode::NodeSubnet);
}

fn swift(vendor: &Vendor) {
    live(vendor, Mode::Swift);
}

fn overlay(vendor: &Vendor) {
    live(vendor, Mode::Overlay);
}

fn overlay_by_cns(vendor: &Vendor) {
    live(vendor, Mode::OverlayByCns);
}

fn dual_stack(vendor: &Vendor) {
    live(vendor, Mode::DualStack);
}

/// Two pods on one node and one on another get Azure's addresses and our programs, and reach each other.
fn live(vendor: &Vendor, mode: Mode) {
    let aks = Aks::start(vendor, mode, 2);
    let pods = [("n1", "a"), ("n1", "b"), ("n2", "c")].map(|(node, name)| aks.pod(node, name));
    for pod in &pods {
        is_azures(&aks, mode, pod);
        is_guarded(&aks, pod);
    }
    let [a, b, c] = &pods;
    for (from, to) in [(a, b), (b, a), (a, c), (c, b)] {
        talk(from, to);
    }
    for pod in pods {
        pod.delete().unwrap();
    }
    for node in ["n1", "n2"] {
        assert_eq!(aks.remains(node), [] as [String; 0], "{node}");
    }
    aks.end();
}

/// A plugin after ours may put queues on Azure's link, so packets begin by the host's stack. Where nobody did, the agent
/// notices, and from then on packets go past it.
fn pods_come_to_reach_each_other_directly(vendor: &Vendor) {
    let aks = Aks::start(vendor, Mode::Overlay, 1);
    let [a, b] = ["a", "b"].map(|name| aks.pod("n1", name));
    let is_direct = || {
        talk(&a, &b);
        let flows = aks.ctl("n1", "flows");
        flows.as_array().unwrap().iter().any(|flow| flow["source"] == *a.ip4().to_string() && flow["via"] == "peer")
    };
    wait_until("a flow past the host's stack", Duration::from_secs(20), is_direct).unwrap();
    drop((a, b));
    aks.end();
}

/// Address and result are Azure's, and nobody after it has changed the result.
fn is_azures(aks: &Aks, mode: Mode, pod: &Pod) {
    let held = aks.held(pod.node().label());
    let of_pod: Vec<_> = held.iter().filter(|(_, holder)| holder.pod == pod.name()).map(|(ip, _)| *ip).collect();
    assert_eq!(of_pod, pod.addresses());
    let (mut ips, mut routes) = (Vec::new(), Vec::new());
    for ip in pod.addresses() {
        let (version, prefix, default, gateway) = if ip.is_ipv4() {
            let gateway = mode.gateway().map_or("169.254.1.1".to_owned(), |gateway| gateway.to_string());
            ("4", 16, "0.0.0.0/0", gateway)
        } else {
            ("6", 64, "::/0", "fe80::1234:5678:9abc".to_owned())
        };
        ips.push(json!({"version": version, "address": format!("{ip}/{prefix}"), "gateway": gateway}));
        routes.push(json!({"dst": default, "gw": gateway}));
    }
    let expected =
        json!({"cniVersion": "0.3.0", "interfaces": [{"name": "eth0"}], "ips": ips, "routes": routes, "dns": {}});
    for run in pod.runs() {
        let result: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(result, expected, "result of {}", run.plugin);
    }
    assert_eq!(pod.runs().last().unwrap().plugin, "caracal");
}

/// Our programs are on Azure's link.
fn is_guarded(aks: &Aks, pod: &Pod) {
    let node = pod.node();
    let (index, name) = host_end(pod);
    let hash = node.command("sha1sum").stdin(format!("default.{}", pod.name())).run().unwrap();
    assert_eq!(name, format!("azv{}", &hash[..11]));
    let guarded = aks.guarded(node.label());
    for ip in pod.addresses() {
        assert_eq!(guarded.get(ip), Some(&index), "{guarded:?}");
    }
    let pinned = |kind: &str, pin: &str| -> Value {
        let show = format!("bpftool -j {kind} show pinned /sys/fs/bpf/caracal/v*/{pin}");
        serde_json::from_str(&node.run("sh", ["-c", &show]).unwrap()).unwrap()
    };
    let (link, program) = (pinned("link", &format!("links/from_pod-{index}")), pinned("prog", "progs/from_pod"));
    assert_eq!(link["prog_id"], program["id"], "{link}");
}
