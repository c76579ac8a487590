//! `caracalctl status`.

mod readiness;

use std::{
    fs::{File, TryLockError},
    path::Path,
};

use caracal_abi::LAYOUT_VERSION;
use caracal_datapath::{Feature, Features, Importance, Pinned, Root};
use serde::Serialize;

use crate::{
    options::{self, Format, Options},
    output::{Row, print},
};

#[derive(Serialize)]
struct Status {
    agent_running: bool,
    /// What it says of itself, where it runs.
    readiness: Vec<String>,
    layout_version: u32,
    loaded: bool,
    pods: usize,
    flows: usize,
    features: Vec<FeatureLine>,
}

#[derive(Clone, Serialize)]
struct FeatureLine {
    name: &'static str,
    present: bool,
    required: bool,
    otherwise: &'static str,
}

impl Row for FeatureLine {
    const TITLES: &'static [&'static str] = &["KERNEL FEATURE", "", "WITHOUT IT"];

    fn cells(&self) -> Vec<String> {
        let state = match (self.present, self.required) {
            (true, _) => "yes",
            (false, true) => "MISSING",
            (false, false) => "no",
        };
        vec![self.name.to_owned(), state.to_owned(), self.otherwise.to_owned()]
    }
}

#[expect(clippy::print_stdout, reason = "this is the program's output")]
pub fn show(options: &Options, asked: &options::Status, root: &Root) -> anyhow::Result<()> {
    let status = collect(options, asked, root)?;
    if options.output == Format::Json {
        println!("{}", serde_json::to_string_pretty(&status)?);
        return Ok(());
    }
    let Status { agent_running, readiness, layout_version, loaded, pods, flows, features } = status;
    let at = root.version_dir();
    println!("agent       {}", if agent_running { "running" } else { "not running (what is pinned works without it)" });
    for (n, line) in readiness.iter().enumerate() {
        println!("{}{line}", if n == 0 { "readiness   " } else { "            " });
    }
    if loaded {
        println!("data plane  loaded, map layout {layout_version}, {}", at.display());
    } else {
        println!("data plane  not loaded ({} has no programs)", at.display());
    }
    println!("pods        {pods} addresses");
    println!("flows       {flows}\n");
    print(&features, Format::Table, "")
}

fn collect(options: &Options, asked: &options::Status, root: &Root) -> anyhow::Result<Status> {
    let pinned = Pinned::open(root)?;
    let (pods, flows) = match &pinned {
        Some(pinned) => {
            (pinned.endpoints()?.len(), pinned.flows4()?.entries()?.len() + pinned.flows6()?.entries()?.len())
        }
        None => (0, 0),
    };
    let agent_running = agent_running(&options.run_dir);
    Ok(Status {
        agent_running,
        readiness: if agent_running { readiness::ask(asked.agent) } else { Vec::new() },
        layout_version: LAYOUT_VERSION,
        loaded: pinned.is_some(),
        pods,
        flows,
        features: Features::probe().iter().map(FeatureLine::from).collect(),
    })
}

impl From<&Feature> for FeatureLine {
    fn from(feature: &Feature) -> Self {
        Self {
            name: feature.name,
            present: feature.is_there(),
            required: feature.importance == Importance::Required,
            otherwise: feature.otherwise,
        }
    }
}

/// The agent holds this lock as long as it lives.
fn agent_running(run_dir: &Path) -> bool {
    let lock = File::open(run_dir.join("agent.lock"));
    lock.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
