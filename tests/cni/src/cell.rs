//! Where a row of the table meets a version and a runtime.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use anyhow::{Context as _, Result};
use caracal_lab::{
    Lab, Node, NodeSpec, Site as _, bin,
    cni::{Call, Run, Verb},
    require_root,
};
use serde_json::{Value, json};

use crate::{Container, Failure, Kind, Runtime, facts, peers};

/// The network of every list here.
pub const NETWORK: &str = "net";

/// A node of its own, a version of the specification, and a runtime.
pub struct Cell {
    /// The version, as lists have it.
    pub version: String,
    /// The runtime.
    pub kind: Kind,
    runtime: Box<dyn Runtime>,
    lab: Lab,
}

/// Starts a lab with these nodes and a client, on which are our plugins and the CNI project's.
pub fn start_lab(name: &str, nodes: &[&str]) -> Result<Lab> {
    let mut binaries = vec!["caracal".to_owned(), "caracal-ipam".to_owned(), peers::cnitool()?];
    for plugin in peers::PLUGINS {
        binaries.push(peers::plugin(plugin)?);
    }
    let builder = Lab::builder(name).pod_routes().with(|spec| spec.binaries = binaries).client("c1");
    nodes.iter().fold(builder, |builder, node| builder.node(NodeSpec::new(node))).start()
}

/// Loads and pins the data plane on a node; the pins stay.
pub fn load_data_plane(node: &Node) -> Result<()> {
    node.run("mkdir", ["-p", "/run/manifests"])?;
    let agent =
        node.command(bin("caracal-agent")?).args(["--manifests", "/run/manifests", "--node-name", node.label()]);
    // Loading programs on a busy machine takes a moment.
    agent.spawn()?.wait_for_log("following", Duration::from_secs(60))
}

impl Cell {
    /// Runs a row. `version` is such as `v1_1_0`.
    ///
    /// # Panics
    /// If the row does, or leaves something on its node.
    pub fn run(version: &str, runtime: &str, row: fn(&Self)) {
        if !require_root() {
            return;
        }
        let kind = match runtime {
            "driver" => Kind::Driver,
            "cnitool" => Kind::Cnitool,
            "rust_cni" => Kind::RustCni,
            other => panic!("{other} is no runtime"),
        };
        let lab = start_lab("cni", &["n1"]).unwrap_or_else(|error| panic!("{error:#}"));
        let version = version.trim_start_matches('v').replace('_', ".");
        let cell = Self { version, kind, runtime: kind.runtime(), lab };
        row(&cell);
    }

    /// The node.
    #[must_use]
    pub fn node(&self) -> &Node {
        self.lab.node("n1")
    }

    /// Whether the version is this one or a later one.
    #[must_use]
    pub fn since(&self, version: &str) -> bool {
        // None has a part of two digits.
        self.version.as_str() >= version
    }

    /// A list of plugins.
    #[must_use]
    pub fn list(&self, plugins: &[Value]) -> Value {
        json!({"cniVersion": self.version, "name": NETWORK, "plugins": plugins})
    }

    /// A list of our plugin alone, with a range set for each subnet.
    #[must_use]
    pub fn primary(&self, subnets: &[&str]) -> Value {
        let ranges: Vec<Value> = subnets.iter().map(|subnet| json!([{"subnet": subnet}])).collect();
        self.list(&[json!({"type": "caracal", "ipam": {"type": "caracal-ipam", "ranges": ranges}})])
    }

    /// A container on the node.
    #[must_use]
    pub fn container(&self, name: &str) -> Container {
        Container::new(self.node(), name).unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// ADD that must succeed: its result.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "most rows only want it to succeed")]
    pub fn add(&self, list: &Value, container: &Container) -> Value {
        self.try_add(list, container).unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// ADD.
    pub fn try_add(&self, list: &Value, container: &Container) -> Result<Value, Failure> {
        self.runtime.add(self.node(), list, container)
    }

    /// DEL that must succeed.
    #[track_caller]
    pub fn del(&self, list: &Value, container: &Container) {
        self.try_del(list, container).unwrap_or_else(|failure| panic!("{failure}"));
    }

    /// DEL of each, that must succeed.
    #[track_caller]
    pub fn del_all(&self, list: &Value, containers: &[Container]) {
        for container in containers {
            self.del(list, container);
        }
    }

    /// DEL.
    pub fn try_del(&self, list: &Value, container: &Container) -> Result<(), Failure> {
        self.runtime.del(self.node(), list, container)
    }

    /// CHECK.
    pub fn check(&self, list: &Value, container: &Container) -> Result<(), Failure> {
        self.runtime.check(self.node(), list, container)
    }

    /// STATUS.
    pub fn status(&self, list: &Value) -> Result<(), Failure> {
        self.runtime.status(self.node(), list)
    }

    /// GC of all but `valid`.
    pub fn gc(&self, list: &Value, valid: &[&Container]) -> Result<(), Failure> {
        self.runtime.gc(self.node(), list, valid)
    }

    /// Asserts that a verb failed under `code`, for runtimes that show codes, and with a message that has `said` in it.
    #[track_caller]
    pub fn failed<T: std::fmt::Debug>(&self, outcome: Result<T, Failure>, code: u32, said: &str) {
        match outcome {
            Ok(done) => panic!("it succeeded, and gave {done:?}"),
            Err(failure) => {
                assert!(failure.text.contains(said), "{failure}\nshould say {said:?}");
                let shown = self.kind != Kind::Cnitool;
                assert_eq!(failure.code, shown.then_some(code), "{failure}");
            }
        }
    }

    /// One call of a plugin with exactly this, whoever the runtime is: for what no runtime would say. A variable that is
    /// given no value is not set.
    #[track_caller]
    #[must_use]
    pub fn call(&self, verb: &str, env: &[(&str, &str)], stdin: &str) -> Run {
        let driver = self.node().cni();
        let mut all: BTreeMap<String, String> = driver.environment(Verb::Add, None);
        all.insert("CNI_COMMAND".to_owned(), verb.to_owned());
        all.extend(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let call = Call { plugin: "caracal".to_owned(), env: all, stdin: stdin.as_bytes().to_vec() };
        driver.call(&call).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Loads the data plane on the node.
    #[track_caller]
    pub fn load_data_plane(&self) {
        load_data_plane(self.node()).unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// The addresses of the pods that the data plane knows.
    #[must_use]
    pub fn known_to_the_data_plane(&self) -> Vec<IpAddr> {
        let pods = || -> Result<Value> {
            let pods = self.node().command(bin("caracalctl")?).args(["--output", "json", "pods"]).run()?;
            serde_json::from_str(&pods).context(pods)
        };
        let pods = pods().unwrap_or_else(|error| panic!("{error:#}"));
        let ips = pods.as_array().into_iter().flatten().filter_map(|pod| pod["address"].as_str()?.parse().ok());
        let mut ips: Vec<IpAddr> = ips.collect();
        ips.sort_unstable();
        ips
    }

    /// Puts a shell script on the node as a plugin.
    pub fn script(&self, name: &str, body: &str) {
        // By a process that has ended before the script is run: nobody holds it open for writing.
        let install = format!("cat >/opt/cni/bin/{name} && chmod +x /opt/cni/bin/{name}");
        let script = format!("#!/bin/sh\n{body}\n");
        let installed = self.node().command("sh").args(["-c", &install]).stdin(script).run();
        installed.unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// What attachments left on the node: links but its own, routes to pods, state files, programs in front of links.
    #[must_use]
    pub fn remains(&self) -> Vec<String> {
        let look = || -> Result<Vec<String>> {
            let links = facts::ip(self.node(), "link show")?;
            let names = links.as_array().into_iter().flatten().filter_map(|link| link["ifname"].as_str());
            let mut remains: Vec<String> =
                names.filter(|name| !matches!(*name, "lo" | "eth0" | "cni0" | "cni1")).map(str::to_owned).collect();
            let files = "cd /run/caracal 2>/dev/null || exit 0; find ipam endpoints -type f 2>/dev/null; \
                         cd /var/lib/cni && find networks -type f 2>/dev/null | grep -v /lock; exit 0";
            let files = self.node().run("sh", ["-c", files]).context("listing state files")?;
            // What the store remembers of the past, so that addresses come back late, holds nothing.
            let kept = ["/cursor/", "/released/", "/last_reserved_ip"];
            remains.extend(files.lines().filter(|file| !kept.iter().any(|k| file.contains(k))).map(str::to_owned));
            Ok(remains)
        };
        look().unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Ends the row: nothing is left on the node, and nothing of the lab.
    #[track_caller]
    pub fn is_clean(&self) {
        assert_eq!(self.remains(), [] as [String; 0]);
    }
}
