//! A runtime that we did not write drives our plugin: the `rust-cni` crate, behind `src/bin/caracal-rust-cni.rs`.
//!
//! It is a lenient one, so this shows that a foreign caller gets along with us, no more; the strict driver is
//! `caracal_lab::cni`.

use caracal_integration::Cluster;
use caracal_lab::{Site, in_netns, traffic, traffic::Ping};

#[test]
fn rust_cni_adds_and_deletes_a_pod() {
    let cluster = Cluster::start("rustcni", 1).unwrap();
    let node = cluster.node("n1");
    let neighbour = node.pod("neighbour").unwrap();
    let netns = node.machine().add_netns("foreign").unwrap();
    let runtime = |verb| {
        node.run(env!("CARGO_BIN_EXE_caracal-rust-cni"), [verb, "foreign-1", "/run/netns/foreign"]).unwrap();
        cluster.ctl("n1", "pods").unwrap().as_array().unwrap().len()
    };
    // Two addresses for each pod.
    assert_eq!(runtime("setup"), 4);
    for ping in [Ping::new(neighbour.ip4()), Ping::new(neighbour.ip6())] {
        in_netns(&netns, || traffic::ping(&ping)).unwrap().unwrap();
    }
    assert_eq!(runtime("remove"), 2);
    cluster.end().unwrap();
}
