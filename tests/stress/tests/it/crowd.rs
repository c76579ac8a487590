//! Dozens of plugins at once.

use std::time::Duration;

use caracal_lab::{Lab, NodeSpec, Site, bin};
use caracal_stress::crowd::Report;
use serde_json::json;

const PODS: usize = 64;
const ROUNDS: usize = 20;

#[test]
fn nobody_shares_an_address_and_nothing_leaks() {
    let lab = Lab::builder("crowd").node(NodeSpec::new("n1").binaries(["caracal"])).start().unwrap();
    let node = lab.node("n1");
    let pods: Vec<String> = (0..PODS).map(|number| format!("p{number}")).collect();
    let _namespaces: Vec<_> = pods.iter().map(|pod| node.machine().add_netns(pod).unwrap()).collect();
    let work = json!({
        "conf": {"cniVersion": "1.1.0", "name": "net", "type": "caracal", "policy": "required", "ipam": {
            "type": "caracal-ipam", "ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00:1::/64"}]],
        }},
        "pods": pods, "rounds": ROUNDS, "families": 2,
    });
    let worker = node.command(bin("caracal-stress").unwrap()).arg("crowd").stdin(work.to_string());
    let said = worker.timeout(Duration::from_secs(240)).run().unwrap();
    let report: Report = serde_json::from_str(&said).unwrap();
    println!("{} ADDs and as many DELs, {PODS} at a time: {} addresses, none twice", report.adds, report.addresses);
    assert_eq!((report.adds, report.addresses), (PODS * ROUNDS, 2 * PODS * ROUNDS));
    lab.end().unwrap();
}
