//! The same objects out of an API server and out of files: the agent knows the same, and writes the same.

use std::fmt::Write as _;

use caracal_cluster::{Agent, Bed, Kinds};
use caracal_lab::Site as _;
use serde_json::Value;

/// What an API server makes by itself.
const PINS: &str = "/sys/fs/bpf/caracal/v3/maps";
const GIVEN: [(&str, &str, &str); 3] = [
    ("/api/v1/namespaces", "v1", "Namespace"),
    ("/api/v1/services", "v1", "Service"),
    ("/apis/networking.k8s.io/v1/servicecidrs", "networking.k8s.io/v1", "ServiceCIDR"),
];
/// Maps that depend on nothing but the cluster's objects and the node.
const MAPS: [&str; 12] = [
    "ENDPOINTS4", "ENDPOINTS6", "NICS", "NODE4", "NODE6", "PEERS4", "PEERS6", "SERVICES4", "SERVICES6", "SOURCES4",
    "SOURCES6", "HELD",
];

#[test]
fn every_kind_is_the_same_from_both() {
    compare("every-kind", include_str!("../../scenarios/every-kind.yaml"));
}

#[test]
fn what_calico_stores_is_the_same_from_both() {
    compare("stored-by-calico", include_str!("../../scenarios/stored-by-calico.yaml"));
}

#[test]
fn a_busy_cluster_is_the_same_from_both() {
    compare("busy", include_str!("../../scenarios/busy.yaml"));
}

fn compare(name: &str, scenario: &str) {
    let bed = Bed::start(name, &Kinds::ALL).unwrap();
    let given = given(&bed);
    bed.api().apply(scenario).unwrap();
    let from_api = settled(&bed, bed.follow().unwrap());
    let from_files = settled(&bed, bed.read(&format!("{given}{scenario}")).unwrap());
    assert!(from_api.0.to_string().contains("10.244.2.0/24"), "{:#}", from_api.0);
    assert_eq!(from_api, from_files);
    bed.end().unwrap();
}

/// State, maps and routes of an agent that knows everything. It is gone after that.
fn settled(bed: &Bed, agent: Agent) -> (Value, Vec<(&'static str, String)>) {
    agent.wait_until_ready().unwrap();
    agent.wait_for_route("10.244.2.0/24", true).unwrap();
    let state = agent.state().unwrap();
    let dump = |map: &str| bed.node().run("bpftool", ["-j", "map", "dump", "pinned", &format!("{PINS}/{map}")]).unwrap();
    let mut held: Vec<_> = MAPS.iter().map(|map| (*map, dump(map))).collect();
    held.push(("routes", agent.routes().unwrap()));
    agent.remove().unwrap();
    (state["model"].clone(), held)
}

/// What the API server had before anybody wrote to it.
fn given(bed: &Bed) -> String {
    GIVEN.iter().fold(String::new(), |mut yaml, (path, api_version, kind)| {
        let list: Value = serde_json::from_str(&bed.api().get_text(path).unwrap()).unwrap();
        for object in list["items"].as_array().unwrap() {
            let mut object = object.clone();
            object["apiVersion"] = (*api_version).into();
            object["kind"] = (*kind).into();
            // Writing to a string cannot fail. JSON is YAML.
            let _ = writeln!(yaml, "---\n{object}");
        }
        yaml + "---\n"
    })
}
