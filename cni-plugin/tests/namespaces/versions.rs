//! Every version of the specification, in its own words.

use serde_json::{Value, json};

use crate::node::{Node, call, conf};

#[test]
fn version_needs_nothing_and_tells_all() {
    let answer = call("VERSION", &[], "").ok();
    let versions = json!(["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]);
    assert_eq!(answer, json!({"cniVersion": "1.1.0", "supportedVersions": versions}));
}

#[test]
fn results_have_the_shape_of_the_configurations_version() {
    let node = Node::enter();
    let newest = {
        let pod = node.pod("newest");
        let conf = conf("1.1.0", &["10.1.0.0/24", "fd00::/64"]);
        pod.call("ADD", &conf).ok()
    };
    for version in ["0.3.0", "0.3.1", "0.4.0", "1.0.0"] {
        let conf = conf(version, &["10.1.0.0/24", "fd00::/64"]);
        let pod = node.pod(version);
        let result = pod.call("ADD", &conf).ok();
        let mut expected = newest.clone();
        expected["cniVersion"] = json!(version);
        for interface in 0..2 {
            expected["interfaces"][interface].as_object_mut().unwrap().remove("mtu");
            for key in ["name", "mac", "sandbox"] {
                if !expected["interfaces"][interface][key].is_null() {
                    expected["interfaces"][interface][key] = result["interfaces"][interface][key].clone();
                }
            }
        }
        for (i, family) in ["4", "6"].iter().enumerate() {
            expected["ips"][i]["address"] = result["ips"][i]["address"].clone();
            if version < "1.0.0" {
                expected["ips"][i]["version"] = json!(family);
            }
        }
        assert_eq!(result, expected);
        assert_eq!(result["interfaces"][1]["sandbox"], pod.netns.to_str().unwrap());
        assert_eq!(pod.call("DEL", &conf).ok(), Value::Null);
    }
}

#[test]
fn verbs_are_refused_before_their_time() {
    for (verb, version) in [("CHECK", "0.3.1"), ("GC", "1.0.0"), ("STATUS", "1.0.0")] {
        let env = [("CNI_CONTAINERID", "a"), ("CNI_IFNAME", "eth0"), ("CNI_NETNS", "/x")];
        let answer = call(verb, &env, &conf(version, &["10.1.0.0/24"]).to_string());
        assert_eq!(answer.document["cniVersion"], version);
        assert_eq!(answer.error(), (1, format!("config version does not allow {verb}")));
    }
}
