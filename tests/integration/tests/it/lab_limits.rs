//! Limits of bandwidth by annotations of pods, as the agent puts them on links.

use std::time::Duration;

use caracal_integration::Cluster;
use caracal_lab::{Pod, PodOptions, Site, wait_until};
use serde_json::json;

/// The agent looks every few seconds.
const NOTICED: Duration = Duration::from_secs(20);

/// Writes what the cluster has to say about pods.
fn say(cluster: &Cluster, pods: &[(&str, &str)]) {
    let object = |(name, annotations): &(&str, &str)| {
        format!("---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  annotations: {{{annotations}}}\n")
    };
    let manifest: String = pods.iter().map(object).collect();
    cluster.set_manifest("n1", "pods.yaml", &manifest).unwrap();
}

fn rate(shown: &str) -> Option<String> {
    shown.split_once("tbf")?.1.split_once("rate ")?.1.split(' ').next().map(str::to_owned)
}

/// What a pod may receive and send.
fn limits(pod: &Pod) -> [Option<String>; 2] {
    let host = pod.result()["interfaces"][0]["name"].as_str().unwrap();
    let received = pod.node().run("tc", ["qdisc", "show", "dev", host]).unwrap();
    [rate(&received), rate(&pod.run("tc", ["qdisc", "show", "dev", "eth0"]).unwrap())]
}

#[track_caller]
fn come_to_be(pod: &Pod, expected: [Option<&str>; 2]) {
    let expected = expected.map(|rate| rate.map(str::to_owned));
    wait_until(format!("limits {expected:?} of {}", pod.name()), NOTICED, || limits(pod) == expected).unwrap();
}

const BOTH: &str = "kubernetes.io/ingress-bandwidth: 8M, kubernetes.io/egress-bandwidth: 4M";

#[test]
fn limits_appear_change_and_go() {
    let cluster = Cluster::start("limits", 1).unwrap();
    let node = cluster.node("n1");
    let [a, other] = ["a", "other"].map(|name| node.pod(name).unwrap());
    say(&cluster, &[("a", BOTH), ("elsewhere", BOTH)]);
    come_to_be(&a, [Some("8Mbit"), Some("4Mbit")]);
    assert_eq!(limits(&other), [None, None]);
    // A limit is a queue, so packets are sent through it.
    other.ping(a.ip4()).unwrap();
    let is_queued = || {
        other.ping(a.ip4()).unwrap();
        let flows = cluster.ctl("n1", "flows").unwrap();
        let to_a = |flow: &&serde_json::Value| flow["destination"] == *a.ip4().to_string();
        flows.as_array().unwrap().iter().find(to_a).is_some_and(|flow| flow["via"] == "egress")
    };
    wait_until("packets through the queue", NOTICED, is_queued).unwrap();

    say(&cluster, &[("a", "kubernetes.io/ingress-bandwidth: 16M")]);
    come_to_be(&a, [Some("16Mbit"), None]);
    // What cannot be understood changes nothing, and what is right beside it waits.
    say(&cluster, &[("a", "kubernetes.io/ingress-bandwidth: 16X"), ("other", BOTH)]);
    let complaint = "Pod default/a: metadata.annotations.kubernetes.io/ingress-bandwidth: \"16X\" is not a quantity";
    cluster.wait_for_log(complaint).unwrap();
    assert_eq!((limits(&a), limits(&other)), ([Some("16Mbit".to_owned()), None], [None, None]));

    say(&cluster, &[("a", "")]);
    come_to_be(&a, [None, None]);
    cluster.end().unwrap();
}

#[test]
fn pods_that_come_later_are_limited_and_what_the_runtime_said_comes_first() {
    let cluster = Cluster::start("later", 1).unwrap();
    let node = cluster.node("n1");
    say(&cluster, &[("a", BOTH), ("told", BOTH)]);
    let bandwidth = json!({"ingressRate": 32_000_000, "ingressBurst": 4_000_000});
    let capabilities = [("bandwidth".to_owned(), bandwidth)].into_iter().collect();
    let told = node.pod_with("told", &PodOptions { capabilities, ..PodOptions::default() }).unwrap();
    for _ in 0..2 {
        let a = node.pod("a").unwrap();
        come_to_be(&a, [Some("8Mbit"), Some("4Mbit")]);
        a.delete().unwrap();
    }
    assert_eq!(limits(&told), [Some("32Mbit".to_owned()), None]);
    told.check().unwrap();
    cluster.end().unwrap();
}

#[test]
fn limits_outlive_an_agent_and_the_next_one_lifts_them() {
    let mut cluster = Cluster::start("outlive", 1).unwrap();
    let a = cluster.node("n1").pod("a").unwrap();
    say(&cluster, &[("a", BOTH)]);
    come_to_be(&a, [Some("8Mbit"), Some("4Mbit")]);
    cluster.kill_agents().unwrap();
    say(&cluster, &[("a", "kubernetes.io/egress-bandwidth: 64k")]);
    assert_eq!(limits(&a), [Some("8Mbit".to_owned()), Some("4Mbit".to_owned())]);
    cluster.add_agent("n1").unwrap();
    come_to_be(&a, [None, Some("64Kbit")]);
    cluster.kill_agents().unwrap();
    say(&cluster, &[]);
    cluster.add_agent("n1").unwrap();
    come_to_be(&a, [None, None]);
    a.check().unwrap();
    cluster.end().unwrap();
}
