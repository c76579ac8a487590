//! The command line of `caracal-lab`.

mod down;
mod exec;
mod list;
mod up;

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};

use crate::{
    init, keeper, state,
    traffic::{self, Listen},
};

const EXAMPLE: &str = include_str!("../examples/two-nodes.yaml");

/// Nodes and pods made of network namespaces on this machine, to try things in.
///
/// Nothing is made in the machine's own network namespace, and `down` leaves nothing behind. Needs root and iproute2.
#[derive(Debug, Parser)]
#[command(name = "caracal-lab", version, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a lab that a YAML file describes. It stays until `down`.
    Up {
        /// The file; `caracal-lab example` prints one.
        file: PathBuf,
        /// Name of the lab, instead of the file's.
        #[arg(long)]
        name: Option<String>,
        /// Stay here and end the lab at ctrl-C.
        #[arg(long)]
        foreground: bool,
    },
    /// Run a command in a node, client or pod; a shell, if there is none.
    Exec {
        /// Name of the lab; not needed if there is only one.
        #[arg(long)]
        name: Option<String>,
        /// Where: `n1`, or `n1/a` for a pod of it.
        #[arg(value_name = "NODE[/POD]")]
        place: String,
        /// The command and its arguments.
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// List labs with their nodes, clients and pods.
    List,
    /// End a lab.
    Down {
        /// Name of the lab; not needed if there is only one.
        name: Option<String>,
        /// End all labs, those of running tests included.
        #[arg(long, conflicts_with = "name")]
        all: bool,
    },
    /// Print a commented YAML file.
    Example,
    /// Run echo servers right here, wherever that is; they say first whom they see.
    Serve {
        /// What the servers call themselves.
        #[arg(long, default_value = "server")]
        name: String,
        /// Such as `tcp/8080` or `udp/10.0.0.1:53`.
        #[arg(required = true)]
        listen: Vec<Listen>,
    },
    /// Hold a lab. Started by whoever makes one.
    #[command(hide = true)]
    Keeper { lab: String },
    /// Hold a machine. Started by the keeper.
    #[command(hide = true)]
    Init { machine: String },
    /// Make the request that standard input describes. Started by tests.
    #[command(hide = true)]
    Roundtrip,
}

impl Args {
    /// Does what was asked for.
    pub fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Up { file, name, foreground } => up::run(&file, name, foreground)?,
            Command::Exec { name, place, command } => return exec::run(&one_lab(name)?, &place, &command),
            Command::List => list::run()?,
            Command::Down { all: true, .. } => state::alive()?.iter().try_for_each(|lab| down::run(lab))?,
            Command::Down { name, .. } => down::run(&one_lab(name)?)?,
            Command::Example => print(EXAMPLE)?,
            Command::Serve { name, listen } => {
                traffic::serve(&name, &listen, || writeln!(io::stdout(), "{} {name}", traffic::serve::READY))?;
            }
            Command::Keeper { lab } => keeper::run(&lab)?,
            Command::Init { machine: _ } => init::run()?,
            Command::Roundtrip => traffic::run_one(io::stdin().lock(), io::stdout().lock())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The lab that is meant when none is named: the only one, not counting those of tests.
fn one_lab(name: Option<String>) -> Result<String> {
    if let Some(name) = name {
        return Ok(name);
    }
    let mut labs = state::alive()?;
    labs.retain(|lab| state::read_record(lab).is_ok_and(|record| record.by_person));
    match (labs.pop(), labs.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(last), false) => bail!("there are several labs, name one of {}, {last}", labs.join(", ")),
        (None, _) => bail!("no lab is up: `caracal-lab up FILE` starts one"),
    }
}

fn print(text: &str) -> Result<()> {
    io::stdout().write_all(text.as_bytes()).context("writing to standard output")
}
