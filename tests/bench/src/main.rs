//! `make bench`: programs beside their peers, in the same run, as ratios.

mod affinity;
mod cni_worker;
mod report;
mod rows;
mod tcp_worker;
mod test_run;

use std::{net::IpAddr, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{report::Report, rows::packets::Effort};

/// Measures, prints a table, and writes the same as JSON. Needs root; uses one CPU.
#[derive(Debug, Parser)]
#[command(name = "caracal-bench", version)]
struct Options {
    /// Where the report goes.
    #[arg(long, value_name = "FILE", default_value = "target/bench/report.json")]
    report: PathBuf,

    /// Rounds of each measurement; minimum and median are reported.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// Packets in a round.
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    packets: u32,

    /// Only what has this in its name, for example `CNI`, `hostPort`, `TCP_RR IPv4 same node` or `established`; in any case of letters.
    #[arg(long, value_name = "TEXT", default_value = "")]
    rows: String,

    #[command(subcommand)]
    command: Option<Command>,
}

/// What the bench runs inside nodes and pods of its lab.
#[derive(Debug, Subcommand)]
enum Command {
    /// Times ADD and DEL of the plugin that standard input describes.
    #[command(hide = true)]
    CniWorker,
    /// Answers requests of `tcp-client`.
    #[command(hide = true)]
    TcpServer {
        /// Where.
        #[arg(required = true)]
        addresses: Vec<IpAddr>,
    },
    /// Times requests.
    #[command(hide = true)]
    TcpClient(tcp_worker::Client),
}

fn main() -> ExitCode {
    let options = Options::parse();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn,kube_client=off")).init();
    let done = match &options.command {
        Some(Command::CniWorker) => cni_worker::run(),
        Some(Command::TcpServer { addresses }) => tcp_worker::serve(addresses),
        Some(Command::TcpClient(client)) => tcp_worker::run(client),
        None => run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("caracal-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the table is this program's output")]
fn run(options: &Options) -> anyhow::Result<()> {
    anyhow::ensure!(caracal_harness::is_root(), "needs root: it loads eBPF programs");
    let mut report = Report::default();
    let wanted = |name: &str| name.to_lowercase().contains(&options.rows.to_lowercase());
    // Before this process is bound to one CPU, which its children would inherit.
    let mut errors = rows::cni::measure(&mut report, wanted)?;
    errors.extend(rows::sockets::measure(&mut report, options.rounds, wanted)?);
    if wanted(rows::agent::NAME) {
        rows::agent::measure(&mut report, options.rounds)?;
    }
    if wanted(rows::programs::NAME) {
        rows::programs::measure(&mut report)?;
    }
    affinity::stay_on_one_cpu()?;
    let effort = Effort { rounds: options.rounds, packets: options.packets };
    errors.extend(rows::packets::measure(&mut report, effort, wanted));
    println!("{}", report.table());
    report.write(&options.report)?;
    println!("written to {}", options.report.display());
    let errors: Vec<String> = errors.iter().map(|error| format!("{error:#}")).collect();
    anyhow::ensure!(errors.is_empty(), "not everything could be measured:\n{}", errors.join("\n"));
    Ok(())
}
