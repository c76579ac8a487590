//! The command line.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use caracal_abi::Reason;
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
    /// Whether the data plane is loaded, what the kernel can do, whether an agent runs, and what it says of itself.
    Status(Status),
    /// The pods of this node as the programs know them.
    Pods,
    /// Ports of the node that lead to a pod's.
    Ports,
    /// The flows that have been decided: how far they are, where they are kept, when they expire.
    Flows(Flows),
    /// What became of packets, by hook and reason.
    Counters(Counters),
    /// Packets as they are dropped, let in or decided, one line each; one JSON document each with `--output json`.
    Monitor(Monitor),
}

/// Whom to ask.
#[derive(Debug, clap::Args)]
pub struct Status {
    /// Where the agent of this node answers for its health: its settings health-host and health-port.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9099")]
    pub agent: SocketAddr,
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

/// Which packets.
#[derive(Debug, clap::Args)]
pub struct Monitor {
    /// Only those counted under this reason, as `caracalctl counters --all` names them; may be given several times.
    #[arg(long = "reason", value_name = "NAME", value_delimiter = ',', value_parser = reason)]
    pub reasons: Vec<Reason>,

    /// Only those from or to this address, before or after translation.
    #[arg(long, value_name = "IP")]
    pub address: Option<IpAddr>,

    /// Only those that were dropped.
    #[arg(long)]
    pub drops: bool,

    /// Ends after so many.
    #[arg(short = 'n', long, value_name = "N")]
    pub count: Option<u64>,

    /// Begins with those that are in the buffer already, told before anybody watched.
    #[arg(long)]
    pub buffered: bool,
}

fn reason(name: &str) -> Result<Reason, String> {
    let found = Reason::ALL.iter().copied().find(|reason| reason.name() == name);
    found.ok_or_else(|| {
        format!("no such reason; there are {}", Reason::ALL.iter().map(|it| it.name()).collect::<Vec<_>>().join(", "))
    })
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns.
    Table,
    /// One JSON document.
    Json,
}
