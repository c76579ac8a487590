//! Many plugins at once, as after a reboot of a node.

use std::{collections::HashSet, process::Child};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    ground::{Ground, addresses},
    plugin::{Conf, result_of},
    program::Program,
};

/// What to do on a node with the namespaces `pods`.
#[derive(Debug, Deserialize)]
pub struct Work {
    /// The plugin's configuration.
    conf: Conf,
    /// All are added at once, and then deleted at once.
    pods: Vec<String>,
    /// How often.
    rounds: usize,
    /// How many addresses each gets.
    families: usize,
}

/// What was done.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// ADDs, each followed by a DEL.
    pub adds: usize,
    /// Addresses that were given out.
    pub addresses: usize,
}

/// Adds and deletes all, round after round.
pub fn run(work: &Work) -> Result<Report> {
    let mut ground = Ground::new(&work.pods, true)?;
    ground.remember()?;
    let mut report = Report::default();
    for round in 1..=work.rounds {
        let at = || format!("round {round}");
        let mut held = HashSet::new();
        for ip in all(work, "ADD").with_context(at)?.iter().flat_map(addresses) {
            ensure!(held.insert(ip), "round {round}: {ip} was given out twice");
        }
        ensure!(held.len() == work.families * work.pods.len(), "round {round}: only {} addresses", held.len());
        report.adds += work.pods.len();
        report.addresses += held.len();
        all(work, "DEL").with_context(at)?;
        ground.expect_unchanged().with_context(at)?;
    }
    Ok(report)
}

/// Everybody's call at once, and every result.
fn all(work: &Work, verb: &str) -> Result<Vec<Value>> {
    let calls: Vec<Program> = work.pods.iter().map(|pod| work.conf.call(verb, pod)).collect();
    let running: Vec<Child> = calls.iter().map(Program::start).collect::<Result<_, _>>()?;
    // Nobody is left running when one has failed.
    let ended: Vec<_> = running.into_iter().map(Child::wait_with_output).collect();
    calls.iter().zip(ended).map(|(call, output)| result_of(call, &output?)).collect()
}
