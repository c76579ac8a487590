//! Our binary fails or is gone. A runtime takes a list apart in reverse and stops at the first error, so Azure's plugin is
//! not asked: the address stays taken until the binary is back. That is why an installer takes our entry out of the
//! list first and leaves the binary for as long as there are pods.

use std::time::Duration;

use caracal_lab::{Node, Site, cni::Error, wait_until};
use serde_json::json;

use crate::{
    aks::{Aks, Mode, conflist, host_end, options, talk},
    vendor::Vendor,
};

with_both!(
    a_binary_that_fails_holds_the_address_until_it_works,
    a_binary_that_is_gone_holds_the_address_until_it_is_back,
    an_entry_that_is_gone_holds_nothing,
);

/// What a runtime calls.
const BINARY: &str = "/opt/cni/bin/caracal";

/// Has our binary fail, as it never should.
fn break_it(node: &Node) {
    let error = json!({"cniVersion": "0.3.0", "code": 999, "msg": "broken"});
    let script = format!("#!/bin/sh\ncat >/dev/null\necho '{error}'\nexit 1\n");
    // By a process that has ended before anybody runs it: nobody holds it open for writing.
    let install = format!("rm {BINARY} && cat >{BINARY} && chmod +x {BINARY}");
    node.command("sh").args(["-c", &install]).stdin(script).run().unwrap();
}

fn repair(node: &Node) {
    node.install("caracal").unwrap();
}

fn a_binary_that_fails_holds_the_address_until_it_works(vendor: &Vendor) {
    let aks = Aks::start(vendor, Mode::Overlay, 1);
    let node = aks.node("n1");
    let pod = aks.pod("n1", "a");
    break_it(node);
    for _ in 0..2 {
        let error = node.cni().del(pod.network(), pod.attachment()).unwrap_err();
        assert_eq!(error.run().unwrap().plugin, "caracal", "{error}");
        assert_eq!(aks.held("n1").len(), 1);
    }
    // An ADD that fails so leaves its address as well: the DEL after it comes no further.
    node.pod_with("b", &options()).unwrap_err();
    let held = aks.held("n1");
    assert_eq!(held.len(), 2);
    repair(node);
    pod.delete().unwrap();
    assert_eq!(aks.held("n1").len(), 1, "b's");

    let mut late = aks.pod("n1", "c").attachment().clone();
    // What a runtime would send for b, whose container is the only other one that Azure knows.
    let of_b = held.values().find(|holder| holder.pod == "b").unwrap();
    late.container_id = of_b.interface.split('-').next().unwrap().repeat(8);
    late.args.iter_mut().filter(|(name, _)| name == "K8S_POD_NAME").for_each(|(_, value)| "b".clone_into(value));
    late.netns = None;
    node.cni().del(&node.cni().network().unwrap(), &late).unwrap();
    assert!(aks.held("n1").values().all(|holder| holder.pod == "c"), "{:?}", aks.held("n1"));
    aks.end();
}

fn a_binary_that_is_gone_holds_the_address_until_it_is_back(vendor: &Vendor) {
    let aks = Aks::start(vendor, Mode::Overlay, 1);
    let node = aks.node("n1");
    let pod = aks.pod("n1", "a");
    node.run("rm", [BINARY]).unwrap();
    let error = node.cni().del(pod.network(), pod.attachment()).unwrap_err();
    assert!(matches!(&error, Error::NotFound { plugin, .. } if plugin == "caracal"), "{error}");
    assert_eq!(aks.held("n1").len(), 1);
    repair(node);
    pod.delete().unwrap();
    assert_eq!(aks.remains("n1"), [] as [String; 0]);
    aks.end();
}

/// As an installer leaves a node, or whoever repairs Azure's file: first the entry goes, then whatever else. What was ours
/// to undo is the agent's: the next pod with the address can be reached.
fn an_entry_that_is_gone_holds_nothing(vendor: &Vendor) {
    let mut aks = Aks::start(vendor, Mode::DualStack, 1);
    let [a, b] = ["a", "b"].map(|name| aks.pod("n1", name));
    let mut vendors = conflist(Mode::DualStack);
    vendors["plugins"].as_array_mut().unwrap().pop();
    let node = aks.node("n1").clone();
    node.set_conflist(&vendors).unwrap();
    node.run("rm", [BINARY]).unwrap();
    let (_, link) = host_end(&a);
    node.cni().del(&node.cni().network().unwrap(), a.attachment()).unwrap();
    assert!(aks.held("n1").values().all(|holder| holder.pod == "b"));
    let of_a = a.addresses().to_owned();
    drop(a);
    node.machine().remove_netns("a").unwrap();
    let is_gone = || node.run("ip", ["link", "show", &link]).is_err();
    wait_until("the link to go with its namespace", Duration::from_secs(10), is_gone).unwrap();

    let c = aks.pod("n1", "c");
    assert_eq!(c.addresses(), of_a);
    aks.kill_agent("n1");
    aks.start_agent("n1");
    assert!(aks.guarded("n1").keys().all(|ip| b.addresses().contains(ip)), "{:?}", aks.guarded("n1"));
    talk(&b, &c);
    drop(node);
    aks.end();
}
