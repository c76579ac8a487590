//! Calls of a plugin for one attachment.

use std::{
    path::PathBuf,
    process::{Child, Output},
};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::program::Program;

/// Where the node's plugins are.
const PLUGINS: &str = "/opt/cni/bin";

/// The interface that pods get.
pub const IFNAME: &str = "eth0";

/// A network as one plugin knows it.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Conf(pub Value);

impl Conf {
    /// The same with the result of the plugin before it.
    #[must_use]
    pub fn after(mut self, result: Value) -> Self {
        self.0["prevResult"] = result;
        self
    }

    /// A call of the plugin for a container that is named as its namespace.
    #[must_use]
    pub fn call(&self, verb: &str, pod: &str) -> Program {
        let env = [
            ("CNI_COMMAND", verb.to_owned()),
            ("CNI_CONTAINERID", pod.to_owned()),
            ("CNI_NETNS", format!("/run/netns/{pod}")),
            ("CNI_IFNAME", IFNAME.to_owned()),
            ("CNI_ARGS", format!("IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={pod}")),
            ("CNI_PATH", PLUGINS.to_owned()),
        ];
        Program { path: self.path(), env: env.map(|(name, value)| (name.to_owned(), value)).into(), stdin: self.text() }
    }

    /// A call that ends everything but what these containers have.
    #[must_use]
    pub fn gc(&self, valid: &[&str]) -> Program {
        let env = [("CNI_COMMAND", "GC"), ("CNI_PATH", PLUGINS)];
        let valid: Vec<_> = valid.iter().map(|pod| json!({"containerID": pod, "ifname": IFNAME})).collect();
        let mut conf = self.clone();
        // The version that has GC, whatever the containers were added with.
        conf.0["cniVersion"] = json!("1.1.0");
        conf.0["cni.dev/valid-attachments"] = json!(valid);
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Program { path: conf.path(), env, stdin: conf.text() }
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(PLUGINS).join(self.0["type"].as_str().unwrap_or_default())
    }

    fn text(&self) -> String {
        self.0.to_string()
    }
}

/// Runs a call that must succeed; its result, or null if it has none.
pub fn succeed(call: &Program) -> Result<Value> {
    let output = call.start().and_then(Child::wait_with_output);
    result_of(call, &output.with_context(|| format!("running {}", call.path.display()))?)
}

/// The result of a call that must have succeeded.
pub fn result_of(call: &Program, output: &Output) -> Result<Value> {
    let Output { status, stdout, stderr } = output;
    let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8_lossy(bytes));
    let verb = call.env.get("CNI_COMMAND").map_or("", String::as_str);
    ensure!(status.success(), "{verb} of {}: {status}\n{stdout}{stderr}", call.path.display());
    if stdout.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&stdout).with_context(|| format!("{verb} of {} says {stdout}", call.path.display()))
}
