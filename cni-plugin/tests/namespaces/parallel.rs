//! Many at once, as after a reboot of a node.

use std::collections::HashSet;

use crate::node::{Node, addresses, conf, start};

const PODS: usize = 24;
const ROUNDS: usize = 3;

#[test]
fn nobody_shares_an_address_and_nothing_leaks() {
    let node = Node::enter();
    let conf = conf("1.1.0", &["10.1.0.0/24", "fd00::/64"]).to_string();
    for round in 0..ROUNDS {
        let pods: Vec<_> = (0..PODS).map(|i| node.pod(&format!("pod-{round}-{i}"))).collect();
        let all = |verb| {
            let running: Vec<_> = pods.iter().map(|pod| start(verb, &pod.env("eth0"), &conf)).collect();
            let outputs: Vec<_> = running.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
            for output in &outputs {
                assert!(output.status.success(), "{verb}: {output:?}");
            }
            outputs
        };
        let added = all("ADD");
        let mut seen = HashSet::new();
        for output in added {
            for ip in addresses(&serde_json::from_slice(&output.stdout).unwrap()) {
                assert!(seen.insert(ip), "{ip} twice");
            }
        }
        assert_eq!(seen.len(), 2 * PODS);
        all("DEL");
        assert_eq!(node.remains(), [] as [String; 0]);
        pods.iter().for_each(crate::node::Pod::remove);
    }
}
