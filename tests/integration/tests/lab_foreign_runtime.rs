//! A runtime that we did not write drives our plugin: the `rust-cni` crate.
//!
//! It is a lenient one (it ignores exit codes, and CHECK is sent an empty previous result), so this shows that a foreign
//! caller gets along with us, no more; the strict driver is `caracal_lab::cni`.

use caracal_integration::Cluster;
use caracal_lab::Site;
use rust_cni::cni::Libcni;

#[test]
fn rust_cni_adds_and_deletes_a_pod() {
    let cluster = Cluster::start("rustcni", 1).unwrap();
    let node = cluster.node("n1");
    let neighbour = node.pod("neighbour").unwrap();
    let netns = node.machine().add_netns("foreign").unwrap();
    let path = "/run/netns/foreign".to_owned();
    let runtime = || {
        let mut runtime = Libcni::default();
        runtime.load_default_conf();
        runtime
    };
    node.machine().inside(|| runtime().setup("foreign-1".to_owned(), path.clone())).unwrap().unwrap();
    let addresses = node.run("ip", ["-n", "foreign", "-o", "-4", "addr", "show", "scope", "global"]).unwrap();
    assert!(addresses.contains("/32"), "{addresses}");
    let pods = cluster.ctl("n1", "pods").unwrap();
    assert_eq!(pods.as_array().unwrap().len(), 4, "{pods}");
    let ping = caracal_lab::traffic::Ping::new(neighbour.ip4());
    caracal_lab::in_netns(&netns, || caracal_lab::traffic::ping(&ping)).unwrap().unwrap();

    node.machine().inside(|| runtime().remove("foreign-1".to_owned(), path.clone())).unwrap().unwrap();
    assert_eq!(cluster.ctl("n1", "pods").unwrap().as_array().unwrap().len(), 2);
    cluster.end().unwrap();
}
