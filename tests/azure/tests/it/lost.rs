//! DEL frees Azure's address whatever of ours is gone.

use caracal_lab::{Node, Pod, Site, cni::Attachment};

use crate::{
    aks::{Aks, Mode, talk},
    vendor::Vendor,
};

with_both!(
    the_address_is_freed_without_our_state,
    the_address_is_freed_without_an_agent,
    the_address_is_freed_without_a_data_plane,
    the_address_is_freed_without_a_namespace,
    the_address_is_freed_once_and_again,
);

/// Loses something of a pod's between ADD and DEL.
fn freed(vendor: &Vendor, lose: impl FnOnce(&mut Aks, &Pod)) -> Aks {
    let mut aks = Aks::start(vendor, Mode::DualStack, 1);
    let pod = aks.pod("n1", "a");
    assert_eq!(aks.held("n1").len(), 2);
    lose(&mut aks, &pod);
    pod.delete().unwrap();
    assert_eq!(aks.held("n1").len(), 0);
    aks
}

fn sh(node: &Node, script: &str) {
    node.run("sh", ["-c", script]).unwrap();
}

fn the_address_is_freed_without_our_state(vendor: &Vendor) {
    let aks = freed(vendor, |aks, _| sh(aks.node("n1"), "rm -r /run/caracal/endpoints"));
    assert_eq!(aks.remains("n1"), [] as [String; 0]);
    aks.end();
}

/// Killed before DEL, and for the next pod before ADD.
fn the_address_is_freed_without_an_agent(vendor: &Vendor) {
    let aks = freed(vendor, |aks, _| aks.kill_agent("n1"));
    let [a, b] = ["a", "b"].map(|name| aks.pod("n1", name));
    assert_eq!(aks.guarded("n1").len(), 4, "what is pinned is enough");
    talk(&a, &b);
    for pod in [a, b] {
        pod.delete().unwrap();
    }
    assert_eq!(aks.remains("n1"), [] as [String; 0]);
    aks.end();
}

/// With the pins gone and the agent as well; the next pod has Azure's network alone, until there is an agent again.
fn the_address_is_freed_without_a_data_plane(vendor: &Vendor) {
    let lose = |aks: &mut Aks, _: &Pod| {
        aks.kill_agent("n1");
        sh(aks.node("n1"), "rm -r /sys/fs/bpf/caracal /run/caracal");
    };
    let mut aks = freed(vendor, lose);
    let [a, b] = ["a", "b"].map(|name| aks.pod("n1", name));
    talk(&a, &b);
    aks.start_agent("n1");
    for pod in [a, b] {
        pod.delete().unwrap();
    }
    assert_eq!(aks.remains("n1"), [] as [String; 0]);
    aks.end();
}

/// As after the node was started again: no path to a namespace, or one that leads nowhere.
fn the_address_is_freed_without_a_namespace(vendor: &Vendor) {
    let aks = Aks::start(vendor, Mode::DualStack, 1);
    let node = aks.node("n1");
    for netns in [None, Some("/run/netns/a")] {
        let pod = aks.pod("n1", "a");
        let (network, attachment) = (pod.network().clone(), pod.attachment().clone());
        // The last handle, so that the kernel takes it apart.
        drop(pod);
        node.machine().remove_netns("a").unwrap();
        let attachment = Attachment { netns: netns.map(Into::into), ..attachment };
        node.cni().del(&network, &attachment).unwrap();
        assert_eq!(aks.remains("n1"), [] as [String; 0], "{netns:?}");
    }
    aks.end();
}

fn the_address_is_freed_once_and_again(vendor: &Vendor) {
    let aks = Aks::start(vendor, Mode::DualStack, 1);
    let [a, b] = ["a", "b"].map(|name| aks.pod("n1", name));
    let runtime = aks.node("n1").cni();
    for _ in 0..3 {
        runtime.del(a.network(), a.attachment()).unwrap();
        assert!(aks.held("n1").values().all(|holder| holder.pod == "b"));
        assert_eq!((aks.held("n1").len(), aks.guarded("n1").len()), (2, 2), "the other pod's");
    }
    // Its address goes to another pod, and a late DEL does not take it away again.
    let c = aks.pod("n1", "c");
    assert_eq!(c.addresses(), a.addresses());
    runtime.del(a.network(), a.attachment()).unwrap();
    assert_eq!((aks.held("n1").len(), aks.guarded("n1").len()), (4, 4));
    talk(&b, &c);
    for pod in [a, b, c] {
        pod.delete().unwrap();
    }
    assert_eq!(aks.remains("n1"), [] as [String; 0]);
    aks.end();
}
