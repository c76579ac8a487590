//! The `caracal-ipam` binary, called as a main plugin calls it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use serde_json::{Value, json};

#[expect(dead_code, reason = "other tests look at more of an answer")]
#[path = "support/binary.rs"]
mod binary;

/// Runs the plugin; its document and exit code.
fn call(verb: &str, container: &str, args: &str, conf: &Value) -> (Value, i32) {
    let answer = binary::answer(binary::start(verb, container, "eth0", args, conf));
    (answer.document, answer.exit)
}

fn conf(dir: &Path, version: &str) -> Value {
    json!({
        "cniVersion": version, "name": "net", "type": "ptp",
        "ipam": {
            "type": "caracal-ipam", "dataDir": dir,
            "ranges": [[{"subnet": "10.1.0.0/29"}], [{"subnet": "fd00::/64"}]],
            "routes": [{"dst": "0.0.0.0/0", "priority": 5}],
        },
    })
}

#[test]
fn results_have_the_shape_of_the_configurations_version() {
    let dir = tempfile::tempdir().unwrap();
    let (document, code) = call("ADD", "a", "", &conf(dir.path(), "1.1.0"));
    let expected = json!({
        "cniVersion": "1.1.0",
        "ips": [
            {"address": "10.1.0.2/29", "gateway": "10.1.0.1"},
            {"address": "fd00::2/64", "gateway": "fd00::1"},
        ],
        "routes": [{"dst": "0.0.0.0/0", "priority": 5}],
    });
    assert_eq!((document, code), (expected, 0));
    let (document, code) = call("ADD", "b", "IgnoreUnknown=1;IP=10.1.0.5", &conf(dir.path(), "0.3.0"));
    let expected = json!({
        "cniVersion": "0.3.0",
        "ips": [
            {"version": "4", "address": "10.1.0.5/29", "gateway": "10.1.0.1"},
            {"version": "6", "address": "fd00::3/64", "gateway": "fd00::1"},
        ],
        "routes": [{"dst": "0.0.0.0/0"}],
    });
    assert_eq!((document, code), (expected, 0));
}

#[test]
fn a_life_from_add_to_gc() {
    let dir = tempfile::tempdir().unwrap();
    let mut conf = conf(dir.path(), "1.1.0");
    for container in ["a", "b", "c", "d", "e"] {
        assert_eq!(call("ADD", container, "", &conf).1, 0, "{container}");
    }
    let (document, code) = call("ADD", "a", "", &conf);
    assert_eq!((document["code"].as_u64(), code), (Some(100), 1), "{document}");
    let (document, _) = call("ADD", "f", "", &conf);
    assert_eq!(document["code"], 101);
    assert_eq!(document["msg"], "no IP addresses available in range set 10.1.0.1-10.1.0.6: 5 in use of 5, 0 cooling");
    assert_eq!(call("STATUS", "", "", &conf).0["code"], 50);
    assert_eq!(call("CHECK", "a", "", &conf), (Value::Null, 0));
    assert_eq!(call("DEL", "a", "", &conf), (Value::Null, 0));
    assert_eq!(call("DEL", "a", "", &conf), (Value::Null, 0));
    assert_eq!(call("CHECK", "a", "", &conf).0["code"], 104);
    assert_eq!(call("STATUS", "", "", &conf), (Value::Null, 0));
    conf["cni.dev/valid-attachments"] = json!([{"containerID": "b", "ifname": "eth0"}]);
    assert_eq!(call("GC", "", "", &conf), (Value::Null, 0));
    assert_eq!(call("CHECK", "b", "", &conf).1, 0);
    assert_eq!(call("CHECK", "c", "", &conf).1, 1);
}

#[test]
fn addresses_come_back_when_the_configuration_is_broken() {
    let dir = tempfile::tempdir().unwrap();
    let mut conf = conf(dir.path(), "1.1.0");
    assert_eq!(call("ADD", "a", "", &conf).1, 0);
    conf["ipam"]["ranges"] = json!("nonsense");
    let (document, _) = call("ADD", "b", "", &conf);
    assert_eq!((document["code"].as_u64(), document["msg"].as_str()), (Some(7), Some("ipam.ranges: must be an array")));
    assert_eq!(call("DEL", "a", "A=b=c", &conf), (Value::Null, 0));
    assert!(!dir.path().join("net/10.1.0.2").exists());
}

#[test]
fn resolver_settings_come_from_the_named_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut conf = conf(dir.path(), "1.0.0");
    let file = dir.path().join("resolv.conf");
    conf["ipam"]["resolvConf"] = json!(file);
    let (document, _) = call("ADD", "a", "", &conf);
    assert_eq!(document["code"], 5);
    assert!(document["msg"].as_str().unwrap().starts_with("ipam.resolvConf: "), "{document}");
    std::fs::write(file, "nameserver 10.96.0.10\nsearch a.example b.example\n").unwrap();
    let (document, _) = call("ADD", "a", "", &conf);
    assert_eq!(document["dns"], json!({"nameservers": ["10.96.0.10"], "search": ["a.example", "b.example"]}));
}
