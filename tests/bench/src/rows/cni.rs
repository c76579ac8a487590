//! ADD and DEL beside the reference plugins: ptp with host-local, whose result is the nearest to ours.

use std::env;

use anyhow::Context as _;
use caracal_integration::Cluster;
use caracal_lab::{Node, Site as _};
use serde_json::{Value, json};

use crate::{
    cni_worker::{Times, Work},
    report::{Report, Row},
};

/// Turns of each plugin, and calls in a turn: a disturbance meets all of them.
const TURNS: u32 = 6;
const ROUNDS: u32 = 10;
/// The issue's: so many times faster than the peer.
const TARGET_RATIO: f64 = 1.0 / 3.0;

const PEER: &str = "ptp + host-local, IPv4";

/// Measures ours with and without programs on the node.
pub fn measure(report: &mut Report) -> anyhow::Result<()> {
    let mut cluster = Cluster::without_agents("bench", 1)?;
    cluster.install("n1", &["/usr/lib/cni/ptp", "/usr/lib/cni/host-local"])?;
    cluster.node("n1").machine().add_netns("bench")?;
    let [ours, peer] = in_turn(cluster.node("n1"))?;
    push(report, "routes only", &ours, &peer);
    cluster.add_agent("n1")?;
    let [ours, peer] = in_turn(cluster.node("n1"))?;
    push(report, "programs attached", &ours, &peer);
    cluster.end()
}

/// Ours and the peer's times, taken in alternation.
fn in_turn(node: &Node) -> anyhow::Result<[Times; 2]> {
    let ours = json!({
        "cniVersion": "1.0.0", "name": "ours", "type": "caracal",
        "ipam": { "type": "caracal-ipam", "ranges": [[{ "subnet": "10.250.1.0/24" }]] },
    });
    let peer = json!({
        "cniVersion": "1.0.0", "name": "peer", "type": "ptp",
        "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.250.2.0/24" }]] },
    });
    let mut times = [Times::default(), Times::default()];
    for _ in 0..TURNS {
        for (times, conf) in times.iter_mut().zip([&ours, &peer]) {
            let turn = work(node, conf)?;
            times.add_ms.extend(turn.add_ms);
            times.del_ms.extend(turn.del_ms);
        }
    }
    Ok(times)
}

fn work(node: &Node, conf: &Value) -> anyhow::Result<Times> {
    let plugin = conf["type"].as_str().context("a conf has a type")?;
    let work = Work {
        plugin: format!("/opt/cni/bin/{plugin}"),
        conf: conf.clone(),
        netns: "/run/netns/bench".to_owned(),
        rounds: ROUNDS,
    };
    let worker = node.command(env::current_exe()?).arg("cni-worker").stdin(serde_json::to_vec(&work)?);
    Ok(serde_json::from_str(&worker.run()?)?)
}

fn push(report: &mut Report, how: &str, ours: &Times, peer: &Times) {
    for (verb, ours, peer) in [("ADD", &ours.add_ms, &peer.add_ms), ("DEL", &ours.del_ms, &peer.del_ms)] {
        let (ours, peer) = (sorted(ours), sorted(peer));
        let (median, peer_median) = (middle(&ours), middle(&peer));
        let ratio = median / peer_median;
        report.push(Row {
            name: format!("CNI {verb}, IPv4, {how}"),
            unit: "ms",
            value: ours.first().copied().unwrap_or_default(),
            median,
            peer: Some(PEER),
            peer_value: Some(peer_median),
            ratio: Some(ratio),
            target: Some(peer_median * TARGET_RATIO),
            met: Some(ratio <= TARGET_RATIO),
        });
    }
}

fn sorted(times: &[f64]) -> Vec<f64> {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times
}

fn middle(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
