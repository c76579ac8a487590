//! Lists of plugins, run as the runtimes' library runs them.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::node::{Answer, Pod, answer, start_program};

/// A list of plugins.
pub(crate) struct List {
    pub(crate) version: &'static str,
    pub(crate) plugins: Vec<Value>,
}

impl List {
    /// Every plugin in order, each with the result of the one before; all results.
    pub(crate) fn add(&self, pod: &Pod) -> Vec<Value> {
        let mut results: Vec<Value> = Vec::new();
        for plugin in &self.plugins {
            results.push(self.call("ADD", pod, plugin, results.last()).ok());
        }
        results
    }

    /// Every plugin in order, with the result of the whole list.
    pub(crate) fn check(&self, pod: &Pod, result: &Value) {
        for plugin in &self.plugins {
            self.call("CHECK", pod, plugin, Some(result)).ok();
        }
    }

    /// Every plugin in reverse order. Old versions of the specification have no previous result here.
    pub(crate) fn del(&self, pod: &Pod, result: &Value) {
        let previous = (self.version >= "0.4.0").then_some(result);
        for plugin in self.plugins.iter().rev() {
            assert_eq!(self.call("DEL", pod, plugin, previous).ok(), Value::Null);
        }
    }

    /// One plugin.
    pub(crate) fn call(&self, verb: &str, pod: &Pod, plugin: &Value, previous: Option<&Value>) -> Answer {
        let mut conf = plugin.clone();
        conf["cniVersion"] = json!(self.version);
        conf["name"] = json!("net");
        if let Some(previous) = previous {
            conf["prevResult"] = previous.clone();
        }
        let kind = plugin["type"].as_str().unwrap();
        let program = match kind {
            "caracal" => PathBuf::from(env!("CARGO_BIN_EXE_caracal")),
            _ => Path::new("/usr/lib/cni").join(kind),
        };
        answer(start_program(&program, verb, &pod.env("eth0"), &conf.to_string()))
    }
}

/// Our plugin behind another.
pub(crate) fn ours() -> Value {
    json!({"type": "caracal", "policy": "required"})
}

/// A plugin that makes a veth, with host-local for its addresses.
pub(crate) fn vendor(kind: &str, subnets: &[&str]) -> Value {
    let mut vendor = json!({"type": kind, "ipam": host_local(subnets)});
    if kind == "bridge" {
        vendor["isGateway"] = json!(true);
    }
    vendor
}

/// host-local, whose store vanishes with the test.
pub(crate) fn host_local(subnets: &[&str]) -> Value {
    let ranges: Vec<_> = subnets.iter().map(|subnet| json!([{"subnet": subnet}])).collect();
    let routes: Vec<_> =
        subnets.iter().map(|subnet| json!({"dst": if subnet.contains(':') { "::/0" } else { "0.0.0.0/0" }})).collect();
    json!({"type": "host-local", "dataDir": "/run/host-local", "ranges": ranges, "routes": routes})
}

/// The addresses that host-local has given away.
pub(crate) fn host_local_leases() -> Vec<String> {
    let Ok(listing) = std::fs::read_dir("/run/host-local/net") else { return Vec::new() };
    let names = listing.map(|item| item.unwrap().file_name().into_string().unwrap());
    let mut leases: Vec<_> = names.filter(|name| name.starts_with(|c: char| c.is_ascii_digit() || c == 'f')).collect();
    leases.sort();
    leases
}
