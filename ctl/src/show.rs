//! One module for each thing that can be shown.

mod counters;
mod flows;
mod monitor;
mod pods;
mod ports;
mod status;

use anyhow::bail;
use caracal_datapath::{Pinned, Root};

use crate::options::{Command, Options};

/// Shows what was asked for.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let root = Root::new(&options.bpffs);
    match &options.command {
        Command::Status(status) => status::show(options, status, &root),
        Command::Pods => pods::show(options, &pinned(&root)?),
        Command::Ports => ports::show(options, &pinned(&root)?),
        Command::Flows(flows) => flows::run(options, flows, &pinned(&root)?),
        Command::Counters(counters) => counters::show(options, counters, &root),
        Command::Monitor(monitor) => monitor::run(options, monitor, &root),
    }
}

fn pinned(root: &Root) -> anyhow::Result<Pinned> {
    match Pinned::open(root)? {
        Some(pinned) => Ok(pinned),
        None => bail!(
            "{}: no programs are pinned there; is caracal-agent installed on this node, and has it run once?",
            root.version_dir().display()
        ),
    }
}
