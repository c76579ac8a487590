//! The command line.

use std::{net::IpAddr, path::PathBuf};

use caracal_datapath::{Root, conntrack::Given};
use clap::{Parser, Subcommand, ValueEnum};

/// Shows what Caracal holds in this node's kernel. Run it as root on the node.
#[derive(Debug, Parser)]
#[command(name = "caracalctl", version)]
pub struct Options {
    /// Directory on a bpffs that holds the pinned programs and maps.
    #[arg(long, global = true, value_name = "DIR", default_value = Root::DEFAULT)]
    pub bpffs: PathBuf,

    /// The agent's run directory.
    #[arg(long, global = true, value_name = "DIR", default_value = "/run/caracal")]
    pub run_dir: PathBuf,

    /// Tables for people, JSON for scripts.
    #[arg(long, short, global = true, value_enum, default_value_t = Format::Table)]
    pub output: Format,

    /// What to show.
    #[command(subcommand)]
    pub command: Command,
}

/// What to show.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Whether the data plane is loaded, what the kernel can do, whether an agent runs.
    Status,
    /// The pods of this node as the programs know them.
    Pods,
    /// Ports of the node that lead to a pod's.
    Ports,
    /// The flows that have been decided: how far they are, where they are kept, when they expire.
    Flows(Flows),
    /// What became of packets, by hook and reason.
    Counters(Counters),
}

/// Which flows.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Flows {
    /// Only flows from or to this address.
    #[arg(long, value_name = "IP")]
    pub address: Option<IpAddr>,

    /// The time-outs that the agent was given, for it to be right when flows expire.
    #[arg(long = "timeout", value_name = "NAME=SECONDS", value_delimiter = ',')]
    pub timeouts: Vec<Given>,

    /// To do something to them instead.
    #[command(subcommand)]
    pub action: Option<FlowsAction>,
}

/// What to do to flows.
#[derive(Debug, Subcommand)]
pub enum FlowsAction {
    /// Forgets flows, both directions of each: their next packet is judged anew.
    Cut(FlowsCut),
}

/// Which flows to forget.
#[derive(Debug, clap::Args)]
pub struct FlowsCut {
    /// Those from or to this address, before or after translation.
    #[arg(long, value_name = "IP")]
    pub address: IpAddr,
}

/// Which counters.
#[derive(Debug, clap::Args)]
pub struct Counters {
    /// Also those that are zero.
    #[arg(long)]
    pub all: bool,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns.
    Table,
    /// One JSON document.
    Json,
}
