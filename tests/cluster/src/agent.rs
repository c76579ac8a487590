//! The agent under test, on a node of a lab.

use std::{fmt::Display, time::Duration};

use anyhow::{Context as _, Result};
use caracal_lab::{Node, Process, Site as _, bin, wait_until};
use kube::Config;
use serde_json::Value;

use crate::{api::Api, runtime::Runtime};

/// Where it shows its state, for its own node alone.
const FACE: &str = "http://127.0.0.1:9099";
const KUBECONFIG: &str = "/run/agent/kubeconfig";
const MANIFESTS: &str = "/run/agent/manifests";
/// Loading programs on a busy machine takes a moment.
const READY: Duration = Duration::from_secs(60);
/// And so does everything else, with other tests beside it.
const SOON: Duration = Duration::from_secs(30);

/// So much of a state is shown where it is not what it should be.
const SHOWN: usize = 20_000;

/// What the kernel says of an agent's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Resident now.
    pub resident_kib: u32,
    /// The most that ever was.
    pub most_kib: u32,
}

/// An agent. It is killed when this is dropped.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    face: Api,
    node: Node,
}

impl Agent {
    /// Starts one that follows API servers: the kubeconfig's, or those at `urls` if there are any.
    pub fn follow(node: &Node, kubeconfig: &str, urls: &[String]) -> Result<Self> {
        node.machine().write_file(KUBECONFIG, kubeconfig)?;
        let servers = urls.iter().flat_map(|url| ["--api-server", url]);
        Self::start(node, ["--kubeconfig", KUBECONFIG].into_iter().chain(servers))
    }

    /// Starts one that follows a directory with this file in it.
    pub fn read(node: &Node, manifests: &str) -> Result<Self> {
        node.machine().write_file(format!("{MANIFESTS}/all.yaml"), manifests)?;
        Self::start(node, ["--manifests", MANIFESTS])
    }

    fn start<'a>(node: &Node, args: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let process = node.command(bin("caracal-agent")?).args(["--node-name", node.label()]).args(args).spawn()?;
        let face = Api::new(&Runtime::on(node.machine())?, Config::new(FACE.parse().context("understanding FACE")?))?;
        Ok(Self { process, face, node: node.clone() })
    }

    /// Waits until it says that it knows all there is.
    pub fn wait_until_ready(&self) -> Result<()> {
        self.wait_until("the agent to be ready", READY, || self.face.get_text("/readyz").is_ok())
    }

    /// What it knows.
    pub fn state(&self) -> Result<Value> {
        let text = self.face.get_text("/debug/state").context("asking the agent for its state")?;
        serde_json::from_str(&text).context("understanding the agent's state")
    }

    /// Waits until it knows something, or no longer does.
    #[track_caller]
    pub fn wait_for_state(&self, what: impl Display, is_so: impl Fn(&Value) -> bool) -> Result<()> {
        let mut last = self.state();
        let waited = self.wait_until(what, SOON, || {
            last = self.state();
            last.as_ref().is_ok_and(&is_so)
        });
        waited.with_context(|| format!("the agent's state was\n{:.*}", SHOWN, format!("{last:#?}")))
    }

    /// The routes that it made, one in a line.
    pub fn routes(&self) -> Result<String> {
        let shown = ["-4", "-6"].map(|family| self.node.run("ip", [family, "route", "show", "proto", "202"]));
        shown.into_iter().collect::<Result<String>>()
    }

    /// Waits until it has made a route to this, or no longer has one.
    #[track_caller]
    pub fn wait_for_route(&self, to: &str, is_there: bool) -> Result<()> {
        let what = format!("{} route to {to}", if is_there { "a" } else { "no" });
        self.wait_until(what, SOON, || self.routes().is_ok_and(|routes| routes.contains(to) == is_there))
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// How much memory it has, in KiB.
    pub fn memory(&self) -> Result<Memory> {
        let path = format!("/proc/{}/status", self.process.pid());
        let status = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let kib = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)?.trim().strip_suffix(" kB"));
            line.and_then(|kib| kib.parse().ok()).with_context(|| format!("no {key} in {path}"))
        };
        Ok(Memory { resident_kib: kib("VmRSS:")?, most_kib: kib("VmHWM:")? })
    }

    /// Whether it has not ended.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.process.is_running()
    }

    /// Kills it, and removes everything that it left on its node.
    pub fn remove(self) -> Result<()> {
        self.process.kill()?;
        let traces =
            "rm -rf /sys/fs/bpf/caracal /run/caracal/* && ip -4 route flush proto 202 && ip -6 route flush proto 202";
        self.node.run("sh", ["-c", traces]).map(drop)
    }

    #[track_caller]
    fn wait_until(&self, what: impl Display, limit: Duration, mut is_so: impl FnMut() -> bool) -> Result<()> {
        wait_until(what, limit, || is_so() || !self.is_running())?;
        anyhow::ensure!(self.is_running(), "the agent has ended:\n{}", self.log());
        Ok(())
    }
}
