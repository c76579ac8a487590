//! What Calico's users have set in a FelixConfiguration, or in `FELIX_` variables. Pure.
//!
//! Keys that mean something here set our settings; those that Calico knows and that mean nothing here say why; all others
//! are reported.

mod idle;
mod keys;
mod translate;

use std::{collections::BTreeMap, sync::Arc};

use keys::{FOR_NODES, KEYS, Key};
use serde_json::{Map, Value};

pub use self::idle::IDLE;
use super::{Layer, Origin, Setting};

/// A row of the guide: one of Calico's keys, and the setting that it sets.
pub fn mapped() -> impl Iterator<Item = (&'static str, &'static str)> {
    KEYS.iter().map(|key| (key.name, key.setting))
}

/// What one object says.
#[must_use]
pub fn layer(object: &str, spec: Option<&Map<String, Value>>) -> Layer {
    let mut layer = Layer::default();
    let Some(spec) = spec else { return layer };
    let object: Arc<str> = object.into();
    let at = |key: &str| Origin::Felix { object: Arc::clone(&object), key: key.to_owned() };
    // In the order of the table: where two keys mean one setting, the last counts.
    for key in KEYS {
        if let Some(value) = spec.get(key.name) {
            put(&mut layer, key, value, at(key.name));
        }
    }
    for (name, _) in spec.iter().filter(|(name, value)| !value.is_null() && !is_mapped(name)) {
        match idle::why(name) {
            Some(why) => layer.note(at(name), format!("without effect: {why}")),
            None => layer.complain(at(name), "neither Caracal nor Calico knows this key"),
        }
    }
    layer
}

/// What the variables say, by their names without `FELIX_`, in lower case as Calico reads them.
pub fn variables(layer: &mut Layer, variables: &BTreeMap<String, (String, String)>) {
    let at = |variable: &str| Origin::Environment(variable.to_owned());
    for key in KEYS.iter().chain(FOR_NODES) {
        if let Some((variable, text)) = variables.get(&key.variable()) {
            put(layer, key, &Value::String(text.clone()), at(variable));
        }
    }
    for (name, (variable, _)) in variables {
        if KEYS.iter().chain(FOR_NODES).any(|key| key.variable() == *name) {
            continue;
        }
        match idle::why_variable(name) {
            Some(why) => layer.note(at(variable), format!("without effect: {why}")),
            None => layer.note(at(variable), "neither Caracal nor Calico knows this variable"),
        }
    }
}

fn is_mapped(name: &str) -> bool {
    KEYS.iter().any(|key| key.name == name)
}

fn put(layer: &mut Layer, key: &Key, value: &Value, at: Origin) {
    if value.is_null() || value == "" {
        return;
    }
    let setting = Setting::named(key.setting);
    match (key.read)(value) {
        Ok(texts) => layer.put(setting, texts, at),
        Err(why) => layer.reject(setting, &why, at),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    fn read(spec: &Value) -> Layer {
        layer("default", spec.as_object())
    }

    #[test]
    fn what_means_something_here_is_taken_over() {
        let cases = [
            ("bpfPSNATPorts", json!("20000:20999"), "masquerade-ports", vec!["20000-20999"]),
            ("natPortRange", json!("21000:21999"), "masquerade-ports", vec!["21000-21999"]),
            ("natPortRange", json!(21000), "masquerade-ports", vec!["21000-21000"]),
            ("bpfEnforceRPF", json!("Strict"), "reverse-path", vec!["strict"]),
            ("bpfEnforceRPF", json!("Disabled"), "reverse-path", vec!["off"]),
            ("bpfMapSizeConntrack", json!(512_000), "flow-entries", vec!["1024000"]),
            ("cgroupV2Path", json!("/run/calico/cgroup"), "cgroup", vec!["/run/calico/cgroup"]),
            ("logSeverityScreen", json!("Warning"), "log-level", vec!["warn"]),
            ("logSeverityScreen", json!("Fatal"), "log-level", vec!["error"]),
            ("healthEnabled", json!(false), "health", vec!["false"]),
            ("healthHost", json!("0.0.0.0"), "health-host", vec!["0.0.0.0"]),
            ("healthPort", json!(9098), "health-port", vec!["9098"]),
            ("prometheusMetricsEnabled", json!(true), "metrics", vec!["true"]),
            ("prometheusMetricsHost", json!("::1"), "metrics-host", vec!["::1"]),
            ("prometheusMetricsPort", json!(9092), "metrics-port", vec!["9092"]),
            ("dataplaneWatchdogTimeout", json!("1m30s"), "watchdog-seconds", vec!["90"]),
            (
                "bpfConntrackTimeouts",
                json!({"tcpEstablished": "2h0m0s", "udpTimeout": "45s", "tcpFinsSeen": "Auto", "creationGracePeriod": "5s"}),
                "timeout",
                vec!["tcp-established=7200", "udp=45", "udp-stream=45"],
            ),
        ];
        let mut tried = BTreeSet::new();
        for (key, value, setting, texts) in cases {
            tried.insert(key);
            let layer = read(&json!({ key: value }));
            assert_eq!(layer.problems, [], "{key}");
            assert_eq!(layer.given[setting].texts, texts, "{key}");
            assert_eq!(layer.given[setting].from.to_string(), format!("FelixConfiguration default: spec.{key}"));
        }
        assert_eq!(tried, KEYS.iter().map(|key| key.name).collect(), "every key is tried");
    }

    #[test]
    fn a_value_that_cannot_be_is_told_by_object_field_value_and_what_is_allowed() {
        for (key, value, parts) in [
            ("healthPort", json!(70_000), ["health-port: \"70000\"", "from 1 to 65535"]),
            ("healthPort", json!("9099x"), ["health-port: \"9099x\"", "from 1 to 65535"]),
            ("healthPort", json!([9099]), ["[9099]", "from 1 to 65535"]),
            ("healthEnabled", json!("perhaps"), ["\"perhaps\"", "true or false"]),
            ("bpfEnforceRPF", json!("Tight"), ["\"Tight\"", "off, loose, strict"]),
            ("logSeverityScreen", json!("Loud"), ["\"Loud\"", "info"]),
            ("dataplaneWatchdogTimeout", json!("a while"), ["\"a while\"", "from 5 to 86400"]),
            ("dataplaneWatchdogTimeout", json!("-1s"), ["\"-1s\"", "from 5 to 86400"]),
            ("bpfPSNATPorts", json!("80:90"), ["below 1024", "between 1024 and 65535"]),
            ("bpfMapSizeConntrack", json!(5_000_000_000_u64), ["\"10000000000\"", "from 1024"]),
            ("bpfMapSizeConntrack", json!(-1), ["-1", "from 1024"]),
            ("bpfConntrackTimeouts", json!({"tcpEstablished": "soon"}), ["tcpEstablished", "\"soon\""]),
            ("bpfConntrackTimeouts", json!({"quicTimeout": "1s"}), ["quicTimeout", "is not one"]),
        ] {
            let layer = read(&json!({ key: value }));
            assert!(layer.given.is_empty(), "{key}: {value}");
            let [problem] = &layer.problems[..] else { panic!("{key}: {:?}", layer.problems) };
            let text = problem.to_string();
            assert!(text.starts_with(&format!("FelixConfiguration default: spec.{key}: ")), "{text}");
            assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        }
    }

    #[test]
    fn keys_without_effect_say_why_and_unknown_ones_are_reported() {
        let layer = read(&json!({"vxlanVNI": 4096, "bpfLogLevels": "Off", "wireguardMTU": null}));
        let [note] = &layer.notes[..] else { panic!("{:?}", layer.notes) };
        assert!(note.to_string().starts_with("FelixConfiguration default: spec.vxlanVNI: without effect: "), "{note}");
        let [problem] = &layer.problems[..] else { panic!("{:?}", layer.problems) };
        let expected = "FelixConfiguration default: spec.bpfLogLevels: neither Caracal nor Calico knows this key";
        assert_eq!(problem.to_string(), expected);
    }

    #[test]
    fn no_key_is_there_twice_and_each_sets_a_setting() {
        let idle = IDLE.iter().flat_map(|(_, keys)| keys.iter().copied());
        let mut seen = BTreeSet::new();
        for name in KEYS.iter().map(|key| key.name).chain(idle) {
            assert!(seen.insert(name), "{name} is there twice");
        }
        assert!(KEYS.iter().chain(FOR_NODES).all(|key| Setting::find(key.setting).is_some()));
    }

    #[test]
    fn no_object_says_nothing() {
        assert_eq!(layer("default", None), Layer::default());
    }
}
