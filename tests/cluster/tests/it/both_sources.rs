//! The same objects out of an API server and out of files: the agent knows the same, and writes the same.

use std::{collections::BTreeSet, fmt::Write as _};

use caracal_cluster::{Agent, Bed, Kinds};
use caracal_lab::Site as _;
use serde_json::Value;

/// What an API server makes by itself.
const GIVEN: [(&str, &str, &str); 3] = [
    ("/api/v1/namespaces", "v1", "Namespace"),
    ("/api/v1/services", "v1", "Service"),
    ("/apis/networking.k8s.io/v1/servicecidrs", "networking.k8s.io/v1", "ServiceCIDR"),
];
/// What Calico stores is of interest where its API is not installed.
const NATIVE: &[Kinds] = &[Kinds::CALICO, Kinds::CALICO_OPERATOR, Kinds::CLUSTER_POLICY];
/// Prints every pinned map but those that packets fill.
const DUMP: &str = r#"
    cd /sys/fs/bpf/caracal/*/maps
    for map in *; do
      case $map in
        COUNTERS | EVENTS* | FLOWS* | FRAGS* | HELD | TAILS) ;;
        *) echo "$map: $(bpftool -j map dump pinned "$PWD/$map" | jq --sort-keys --compact-output 'sort')" ;;
      esac
    done
"#;

#[test]
fn every_kind_is_the_same_from_both() {
    compare("every-kind", NATIVE, include_str!("../../scenarios/every-kind.yaml"));
}

#[test]
fn what_calico_stores_is_the_same_from_both() {
    compare("stored-by-calico", &[Kinds::CALICO_STORED], include_str!("../../scenarios/stored-by-calico.yaml"));
}

#[test]
fn a_busy_cluster_is_the_same_from_both() {
    compare("busy", NATIVE, include_str!("../../scenarios/busy.yaml"));
}

/// Says of every leaf that differs where it is and what it is on both sides.
fn compare_values(at: &str, left: &Value, right: &Value, differences: &mut Vec<String>) {
    match (left, right) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for key in keys {
                compare_values(&format!("{at}/{key}"), &left[key], &right[key], differences);
            }
        }
        (left, right) if left != right => differences.push(format!("{at}: {left}, {right}")),
        _ => {}
    }
}

fn compare(name: &str, kinds: &[Kinds], scenario: &str) {
    let bed = Bed::start(name, kinds).unwrap();
    let given = given(&bed);
    bed.api().apply(scenario).unwrap();
    let from_api = settled(&bed, bed.follow().unwrap());
    let from_files = settled(&bed, bed.read(&format!("{given}{scenario}")).unwrap());
    assert!(from_api.0.to_string().contains("10.244.2.0/24"), "{:#}", from_api.0);
    assert!(from_api.1.contains("PEERS4: [{"), "{}", from_api.1);
    let mut differences = Vec::new();
    compare_values("", &from_api.0, &from_files.0, &mut differences);
    assert!(differences.is_empty(), "state from the API and from files:\n{}", differences.join("\n"));
    assert_eq!(from_api.1, from_files.1);
    assert_eq!(from_api.2, from_files.2);
    bed.end().unwrap();
}

/// State, maps and routes of an agent that knows everything. It is gone after that.
fn settled(bed: &Bed, agent: Agent) -> (Value, String, String) {
    agent.wait_until_ready().unwrap();
    agent.wait_for_route("10.244.2.0/24", true).unwrap();
    let state = agent.state().unwrap();
    let maps = bed.node().run("sh", ["-euc", DUMP]).unwrap();
    let routes = agent.routes().unwrap();
    agent.remove().unwrap();
    (state, maps, routes)
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
