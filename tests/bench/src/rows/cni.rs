//! ADD and DEL beside the CNI project's plugins, in the newest version: ptp with host-local gives a pod what we give it.

use std::env;

use anyhow::Context as _;
use caracal_cni_suite::peers;
use caracal_integration::Cluster;
use caracal_lab::{Node, Site as _};
use cases::Case;

use crate::{
    cni_worker::{List, Times, Work},
    report::{Call, Quantiles, Report},
};

mod cases;

/// What the peers are made of.
const PEERS: [&str; 5] = ["ptp", "host-local", "bandwidth", "portmap", "tuning"];
const NODE: &str = "n1";

/// The name of a case, as `--rows` finds it.
fn row(case: &Case) -> String {
    format!("CNI {}", case.name)
}

/// Measures the cases that are `wanted`, and goes on after one that fails: gives every error.
pub fn measure(report: &mut Report, wanted: impl Fn(&str) -> bool) -> anyhow::Result<Vec<anyhow::Error>> {
    let cases: Vec<_> = cases::all().into_iter().filter(|case| wanted(&row(case))).collect();
    let mut errors = Vec::new();
    let Some(most) = cases.iter().flat_map(|case| case.containers).max() else { return Ok(errors) };
    let mut cluster = Cluster::without_agents("bench", 1)?;
    let programs = PEERS.map(peers::plugin).into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    cluster.install(NODE, &programs.iter().map(String::as_str).collect::<Vec<_>>())?;
    // One for the first container of each list that takes part in a case.
    let netns = (0..most + 3).map(|n| {
        let name = format!("bench{n}");
        cluster.node(NODE).machine().add_netns(&name).map(|_| format!("/run/netns/{name}"))
    });
    let netns = netns.collect::<anyhow::Result<Vec<_>>>()?;
    let mut has_programs = false;
    for (number, case) in cases.iter().enumerate() {
        if case.programs && !has_programs {
            cluster.add_agent(NODE)?;
            has_programs = true;
        }
        log::info!("{}", row(case));
        match times(cluster.node(NODE), case, number, &netns) {
            Ok(times) => push(report, case, &times),
            Err(error) => errors.push(error.context(row(case))),
        }
    }
    cluster.end()?;
    Ok(errors)
}

/// Times of our list, the peer's, and that of what both begin with, if there is such.
fn times(node: &Node, case: &Case, number: usize, netns: &[String]) -> anyhow::Result<Vec<Times>> {
    let [ours, peer] = case.containers;
    let all = [(Some(&case.ours), ours), (Some(&case.peer), peer), (case.base.as_ref(), peer)];
    let lists = all.into_iter().enumerate().filter_map(|(at, (plugins, containers))| {
        Some(List { network: (format!("bench{number}-{at}"), at), plugins: plugins?.clone(), containers })
    });
    let work = Work { lists: lists.collect(), turns: case.turns, parallel: case.parallel, netns: netns.to_vec() };
    let worker = node.command(env::current_exe()?).arg("cni-worker").stdin(serde_json::to_vec(&work)?);
    let said = worker.run()?;
    serde_json::from_str(&said).context(said)
}

fn push(report: &mut Report, case: &Case, times: &[Times]) {
    let [add, del] = case.targets;
    for (verb, target) in [("ADD", add), ("DEL", del)] {
        let of = |times: &Times| Quantiles::of(if verb == "ADD" { &times.add_ms } else { &times.del_ms });
        let mut quantiles = times.iter().map(of);
        let (Some(ours), Some(peer)) = (quantiles.next(), quantiles.next()) else { continue };
        let base = quantiles.next().map_or(0.0, |base| base.p50);
        report.push_call(Call::new(row(case), verb, ours.beyond(base), peer.beyond(base), case.beside, target));
    }
}
