//! `make demo`: two nodes made of namespaces, pods on them, and a table of who can talk to whom.
//!
//! Exits non-zero if anything is not as expected. With `KEEP=1` the lab stays up until Enter is pressed.

mod matrix;
mod progress;
mod show;

use std::{env, io, process::ExitCode};

use anyhow::{Context as _, Result, ensure};
use caracal_integration::Cluster;
use caracal_lab::{Pod, Site as _};

use crate::{matrix::Matrix, progress::step};

/// Which pod runs where.
const PODS: [(&str, &str); 4] = [("n1", "web"), ("n1", "db"), ("n2", "api"), ("n2", "cache")];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the demo shows itself")]
fn run() -> Result<()> {
    let cluster = step("two nodes, an agent on each", || Cluster::start("demo", 2))?;
    let pods = step("four pods, by our CNI plugin", || {
        PODS.iter().map(|(node, name)| cluster.node(node).pod(name)).collect::<Result<Vec<Pod>>>()
    })?;
    show::pods(&pods);
    let _servers: Vec<_> = step("an echo server in each", || {
        pods.iter().map(|pod| pod.serve(&["tcp/8080", "udp/5353"])).collect::<Result<_>>()
    })?;
    let matrix = step("everyone talks to everyone: ping, TCP, UDP, over IPv4 and IPv6", || Ok(Matrix::try_all(&pods)))?;
    println!("\n{}\n", matrix.table());
    let spoofed = step("a pod pretends to be another", || show::spoof(&cluster, &pods))?;
    println!("      {spoofed} forged packets sent, {spoofed} dropped and counted\n");
    show::node(&cluster, "n1")?;
    if env::var_os("KEEP").is_some_and(|keep| keep != "0") {
        keep(&cluster)?;
    }
    let failures = matrix.failures();
    drop(pods);
    step("cleaning up", || cluster.end())?;
    ensure!(failures.is_empty(), "not everyone could talk:\n  {}", failures.join("\n  "));
    println!("all as expected");
    Ok(())
}

/// Leaves the lab up for a person to look around.
#[expect(clippy::print_stdout, reason = "the demo shows itself")]
fn keep(cluster: &Cluster) -> Result<()> {
    let name = cluster.lab().name();
    let lab = caracal_lab::bin("caracal-lab")?;
    let ctl = caracal_lab::bin("caracalctl")?;
    println!("The lab stays up until you press Enter. In another terminal:");
    for (place, command) in [
        ("n1", format!("{} status", ctl.display())),
        ("n1", format!("{} flows", ctl.display())),
        ("n1", format!("{} counters", ctl.display())),
        ("n1/web", "ip addr".to_owned()),
        ("n1/web", "ip route".to_owned()),
    ] {
        println!("  {} exec --name {name} {place} -- {command}", lab.display());
    }
    io::stdin().read_line(&mut String::new()).context("waiting for Enter")?;
    Ok(())
}
