//! What a container runtime does with a list: every plugin in order for ADD, in reverse for DEL.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Where the plugins are on a node.
const BIN_DIR: &str = "/opt/cni/bin";

/// Ports of the node that containers are published at begin here; each list has so many.
const FIRST_PORT: usize = 20_000;
const PORTS: usize = 1_000;

/// A list of plugins.
#[derive(Debug, Serialize, Deserialize)]
pub struct List {
    /// The network's name, and its number among those that take turns.
    pub network: (String, usize),
    /// In the order of ADD.
    pub plugins: Vec<Value>,
    /// Containers in a turn.
    pub containers: usize,
}

/// A container.
#[derive(Clone, Debug)]
pub struct Container {
    id: String,
    number: usize,
    netns: String,
}

/// A container, and the result of its ADD.
#[derive(Debug)]
pub struct Attached {
    container: Container,
    result: Value,
}

/// What came of something, and how long it took.
#[derive(Debug)]
pub struct Timed<T> {
    /// Milliseconds.
    pub ms: f64,
    /// The outcome.
    pub value: T,
}

impl Container {
    /// A container in a namespace; `number` tells it from the others of `group`.
    pub fn new(group: &str, number: usize, netns: &str) -> Self {
        Self { id: format!("{group}-{number}-{}", std::process::id()), number, netns: netns.to_owned() }
    }
}

impl List {
    /// ADD of the whole list.
    pub fn add(&self, container: &Container) -> anyhow::Result<Timed<Attached>> {
        let began = Instant::now();
        let mut result = Value::Null;
        for plugin in &self.plugins {
            let output = self.call(plugin, "ADD", container, &result).inspect_err(|_| {
                // The runtime's answer to an ADD that failed; the first error is the one to tell of.
                let _ = self.undo(container, &Value::Null);
            })?;
            result = serde_json::from_slice(&output).with_context(|| format!("result of {}", plugin["type"]))?;
        }
        let ms = began.elapsed().as_secs_f64() * 1e3;
        Ok(Timed { ms, value: Attached { container: container.clone(), result } })
    }

    /// DEL of the whole list: milliseconds.
    pub fn del(&self, attached: &Attached) -> anyhow::Result<f64> {
        let began = Instant::now();
        self.undo(&attached.container, &attached.result)?;
        Ok(began.elapsed().as_secs_f64() * 1e3)
    }

    fn undo(&self, container: &Container, result: &Value) -> anyhow::Result<()> {
        self.plugins.iter().rev().try_for_each(|plugin| self.call(plugin, "DEL", container, result).map(drop))
    }

    #[expect(clippy::disallowed_methods, reason = "a runtime executes plugins")]
    fn call(&self, plugin: &Value, verb: &str, container: &Container, previous: &Value) -> anyhow::Result<Vec<u8>> {
        let kind = plugin["type"].as_str().context("a plugin has a type")?;
        let mut child = Command::new(format!("{BIN_DIR}/{kind}"))
            .env_clear()
            // portmap looks for iptables.
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("CNI_COMMAND", verb)
            .env("CNI_CONTAINERID", &container.id)
            .env("CNI_NETNS", &container.netns)
            .env("CNI_IFNAME", "eth0")
            .env("CNI_ARGS", format!("IgnoreUnknown=1;K8S_POD_NAMESPACE=bench;K8S_POD_NAME={}", container.id))
            .env("CNI_PATH", BIN_DIR)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| kind.to_owned())?;
        let conf = serde_json::to_vec(&self.conf(plugin, container, previous))?;
        child.stdin.take().context("no standard input")?.write_all(&conf)?;
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "{kind} {verb}: {said}{}", String::from_utf8_lossy(&output.stderr));
        Ok(output.stdout)
    }

    /// A plugin's own part of the list, with what the runtime adds.
    fn conf(&self, plugin: &Value, container: &Container, previous: &Value) -> Value {
        let mut conf = plugin.clone();
        conf["cniVersion"] = json!("1.1.0");
        conf["name"] = json!(self.network.0);
        let declared = plugin["capabilities"].as_object().into_iter().flat_map(Map::keys);
        for capability in declared {
            conf["runtimeConfig"][capability] = self.wish(capability, container);
        }
        if !previous.is_null() {
            conf["prevResult"] = previous.clone();
        }
        conf
    }

    /// What a container asks of a plugin that declares `capability`.
    fn wish(&self, capability: &str, container: &Container) -> Value {
        match capability {
            "bandwidth" => json!({
                "ingressRate": 100_000_000, "ingressBurst": 10_000_000,
                "egressRate": 100_000_000, "egressBurst": 10_000_000,
            }),
            "portMappings" => {
                let host_port = FIRST_PORT + self.network.1 * PORTS + container.number;
                json!([{ "hostPort": host_port, "containerPort": 80, "protocol": "tcp" }])
            }
            _ => Value::Null,
        }
    }
}
