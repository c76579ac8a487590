//! `caracal-lab up`.

use std::path::Path;

use anyhow::{Context as _, Result};
use nix::sys::signal::{SigSet, Signal};

use super::print;
use crate::{
    lab::Lab,
    node::start_daemon,
    site::Site,
    spec::LabSpec,
    traffic::{Listen, serve::READY},
    wait::wait_until,
};

const LOG_DIR: &str = "/var/log/lab";
const SERVING_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

pub(super) fn run(file: &Path, name: Option<String>, foreground: bool) -> Result<()> {
    let mut spec = LabSpec::read(file)?;
    spec.name = name.unwrap_or(spec.name);
    let lab = Lab::start(&spec)?;
    populate(&lab, &spec)?;
    lab.set_by_person()?;
    let milliseconds = lab.boot_time().as_millis();
    let name = lab.name().to_owned();
    if !foreground {
        lab.detach()?;
        return print(&usage(&spec, &name, milliseconds));
    }
    let mut ending = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        ending.add(signal);
    }
    ending.thread_block().context("blocking signals")?;
    print(&format!("lab {name} is up ({milliseconds} ms); ctrl-C ends it\n"))?;
    ending.wait().context("waiting for a signal")?;
    lab.end()
}

/// Starts commands, then pods, then servers: all that outlives this process if the lab does.
fn populate(lab: &Lab, spec: &LabSpec) -> Result<()> {
    for node_spec in &spec.nodes {
        let node = lab.node(&node_spec.name);
        node.run("mkdir", ["-p", LOG_DIR])?;
        for (command, number) in node_spec.start.iter().zip(1..) {
            let log = format!("{LOG_DIR}/start-{number}.log");
            node.start(command, &log).with_context(|| format!("nodes.{}.start: `{command}`", node_spec.name))?;
        }
    }
    for pod_spec in &spec.pods {
        let pod = lab.node(&pod_spec.node).pod(&pod_spec.name)?;
        serve(&pod, &pod_spec.serve)?;
    }
    for client_spec in &spec.clients {
        let client = lab.client(&client_spec.name);
        client.run("mkdir", ["-p", LOG_DIR])?;
        serve(client, &client_spec.serve)?;
    }
    Ok(())
}

/// Starts echo servers that live as long as the lab.
fn serve(site: &impl Site, listens: &[Listen]) -> Result<()> {
    if listens.is_empty() {
        return Ok(());
    }
    let log = format!("{LOG_DIR}/serve-{}.log", site.label().replace('/', "-"));
    let listens: Vec<String> = listens.iter().map(ToString::to_string).collect();
    let program =
        ["caracal-lab", "serve", "--name", site.label()].into_iter().chain(listens.iter().map(String::as_str));
    start_daemon(site, &log, program)?;
    let said =
        || site.machine().read_file(&log).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default();
    wait_until(format_args!("servers of {}", site.label()), SERVING_WITHIN, || said().contains(READY))
        .with_context(said)
}

fn usage(spec: &LabSpec, name: &str, milliseconds: u128) -> String {
    let pods = spec.pods.iter().map(|pod| format!("{}/{}", pod.node, pod.name));
    let nodes = spec.nodes.iter().map(|node| node.name.clone());
    let clients = spec.clients.iter().map(|client| client.name.clone());
    let place = pods.chain(nodes).chain(clients).next().unwrap_or_else(|| "lan".to_owned());
    format!(
        "lab {name} is up ({milliseconds} ms)\n\
         \x20 caracal-lab list\n\
         \x20 caracal-lab exec --name {name} {place}              a shell there\n\
         \x20 caracal-lab exec --name {name} {place} -- ip addr   or a command\n\
         \x20 caracal-lab down {name}\n"
    )
}
