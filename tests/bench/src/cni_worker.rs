//! Runs inside a node: executes a plugin as a runtime does, and says how long each call took.

use std::{
    io::{self, Write as _},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

/// What to time.
#[derive(Debug, Serialize, Deserialize)]
pub struct Work {
    /// Path of the plugin.
    pub plugin: String,
    /// What it gets on standard input.
    pub conf: serde_json::Value,
    /// A network namespace without an `eth0`.
    pub netns: String,
    /// ADDs and DELs.
    pub rounds: u32,
}

/// Milliseconds of every call.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Times {
    /// ADD.
    pub add_ms: Vec<f64>,
    /// DEL.
    pub del_ms: Vec<f64>,
}

/// Reads [`Work`] from standard input, writes [`Times`] to standard output.
pub fn run() -> anyhow::Result<()> {
    let work: Work = serde_json::from_reader(io::stdin()).context("what to do, as JSON on standard input")?;
    let mut times = Times::default();
    for round in 0..work.rounds {
        let id = format!("bench-{}-{round}", std::process::id());
        times.add_ms.push(call(&work, "ADD", &id)?);
        times.del_ms.push(call(&work, "DEL", &id)?);
    }
    serde_json::to_writer(io::stdout(), &times)?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a runtime executes plugins")]
fn call(work: &Work, verb: &str, id: &str) -> anyhow::Result<f64> {
    let conf = serde_json::to_vec(&work.conf)?;
    let began = Instant::now();
    let mut plugin = Command::new(&work.plugin)
        .env_clear()
        .env("CNI_COMMAND", verb)
        .env("CNI_CONTAINERID", id)
        .env("CNI_NETNS", &work.netns)
        .env("CNI_IFNAME", "eth0")
        .env("CNI_PATH", "/opt/cni/bin")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| work.plugin.clone())?;
    plugin.stdin.take().context("no standard input")?.write_all(&conf)?;
    let output = plugin.wait_with_output()?;
    let elapsed_ms = began.elapsed().as_secs_f64() * 1e3;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{} {verb}: {said}{}", work.plugin, String::from_utf8_lossy(&output.stderr));
    Ok(elapsed_ms)
}
