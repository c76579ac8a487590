//! A pod that is recreated under its name, as a `StatefulSet` does: Azure's link has the same name and another number, and
//! the DEL of the old container comes after the ADD of the new one.

use std::time::Duration;

use caracal_lab::{Site, cni::Attachment, wait_for};

use crate::{
    aks::{Aks, Mode, container_id},
    vendor::Vendor,
};

with_both!(the_old_del_does_not_touch_the_new_pod);

fn the_old_del_does_not_touch_the_new_pod(vendor: &Vendor) {
    let aks = Aks::start(vendor, Mode::DualStack, 1);
    let node = aks.node("n1");
    let peer = aks.pod("n1", "peer");
    let old = aks.pod("n1", "web-0");
    let links = || aks.links("n1");
    assert_eq!((aks.held("n1").len(), aks.guarded("n1").len(), links()), (4, 4, 2));

    // The same pod in another namespace, as another container.
    let _netns = node.machine().add_netns("web-0-again").unwrap();
    let new = Attachment {
        container_id: container_id(),
        netns: Some("/run/netns/web-0-again".into()),
        ..old.attachment().clone()
    };
    let result = node.cni().add(old.network(), &new).unwrap().result;
    let addresses: Vec<std::net::IpAddr> = result["ips"]
        .as_array()
        .unwrap()
        .iter()
        .map(|ip| ip["address"].as_str().unwrap().split('/').next().unwrap().parse().unwrap())
        .collect();
    assert!(addresses.iter().all(|ip| !old.addresses().contains(ip)));
    let of_new = || aks.guarded("n1").into_iter().filter(|(ip, _)| addresses.contains(ip)).collect::<Vec<_>>();
    let guarded = of_new();
    assert_eq!(guarded.len(), 2);

    for _ in 0..2 {
        node.cni().del(old.network(), old.attachment()).unwrap();
        assert_eq!(of_new(), guarded);
        assert_eq!((aks.held("n1").len(), aks.guarded("n1").len(), links()), (4, 4, 2), "{:?}", aks.held("n1"));
        for ip in &addresses {
            wait_for("an answer to a ping", Duration::from_secs(10), || peer.ping(*ip)).unwrap();
        }
    }
    node.cni().del(old.network(), &new).unwrap();
    peer.delete().unwrap();
    assert_eq!(aks.remains("n1"), [] as [String; 0]);
    aks.end();
}
