//! What goes between two ends, and how it is run.

use std::{env, fmt, time::Duration};

use anyhow::Context as _;
use caracal_lab::{Process, Site};
use serde_json::Value;

use super::{Family, paths::End};
use crate::{
    affinity,
    report::{Figure, Target},
    tcp_worker,
};

/// A server that takes longer does not start at all.
const SERVES_WITHIN: Duration = Duration::from_secs(10);
/// Transactions in a round.
const REQUESTS: u32 = 50_000;
const CONNECTIONS: u32 = 20_000;
/// Seconds of a round of throughput.
const SECONDS: u32 = 1;
/// Fewer packets, however large, are not worth the name of throughput.
const PACKETS_A_SECOND: u64 = 1_000;

/// What goes between two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// Requests and responses of a byte, in one connection.
    Rr,
    /// The same, each in a connection of its own.
    Crr,
    /// As much as fits.
    Throughput,
}

impl fmt::Display for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rr => "TCP_RR",
            Self::Crr => "TCP_CRR",
            Self::Throughput => "throughput",
        })
    }
}

impl Transfer {
    pub const ALL: [Self; 3] = [Self::Rr, Self::Crr, Self::Throughput];

    /// Whether less is better.
    pub fn is_time(self) -> bool {
        self != Self::Throughput
    }

    pub fn unit(self) -> &'static str {
        if self.is_time() { "µs" } else { "Gbit/s" }
    }

    pub fn figure(self, rounds: &[f64]) -> Figure {
        if self.is_time() { Figure::least(rounds) } else { Figure::most(rounds) }
    }

    /// What is to be reached beside a bare pair.
    pub fn target(self) -> Target {
        match self {
            Self::Rr => Target::RatioAtMost(1.08),
            Self::Crr => Target::RatioAtMost(1.10),
            Self::Throughput => Target::RatioAtLeast(0.97),
        }
    }

    /// Packets that pass from end to end in so many rounds, at least.
    pub fn packets(self, rounds: u32) -> u64 {
        let in_one = match self {
            Self::Rr => 2 * u64::from(REQUESTS),
            // SYN, SYN-ACK, request, response, FIN, FIN.
            Self::Crr => 6 * u64::from(CONNECTIONS),
            Self::Throughput => PACKETS_A_SECOND * u64::from(SECONDS),
        };
        in_one * u64::from(rounds)
    }

    /// Starts the server's end.
    pub fn serve(self, server: &End, family: Family) -> anyhow::Result<Process> {
        let address = server.ip(family).to_string();
        if self == Self::Throughput {
            let cpu = affinity::the_cpu()?.to_string();
            let iperf = server.command("iperf3").args(["-s", "--forceflush", "-A", &cpu, "-B", &address]).spawn();
            let iperf = iperf.context("iperf3 does not start: `install/setup.sh bench` installs it")?;
            iperf.wait_for_log("Server listening", SERVES_WITHIN)?;
            return Ok(iperf);
        }
        let worker = server.command(env::current_exe()?).args(["tcp-server", &address]).spawn()?;
        worker.wait_for_log(tcp_worker::READY, SERVES_WITHIN)?;
        Ok(worker)
    }

    /// One round, in parts: microseconds a transaction, or gigabits a second.
    pub fn run(self, client: &End, server: &End, family: Family, round: u32) -> anyhow::Result<Vec<f64>> {
        let to = server.ip(family).to_string();
        let (kind, transactions) = match self {
            Self::Rr => ("rr", REQUESTS),
            Self::Crr => ("crr", CONNECTIONS),
            Self::Throughput => return Ok(vec![throughput(client, &to)?]),
        };
        let worker = client.command(env::current_exe()?).args(["tcp-client", kind, &to]);
        let said = worker.args([transactions.to_string(), round.to_string()]).run()?;
        said.lines().map(str::parse).collect::<Result<_, _>>().context(said)
    }
}

/// Gigabits a second, as the server received them.
fn throughput(client: &End, to: &str) -> anyhow::Result<f64> {
    let (cpu, seconds) = (affinity::the_cpu()?.to_string(), SECONDS.to_string());
    let said = client.run("iperf3", ["-c", to, "-t", &seconds, "-A", &cpu, "--json"])?;
    let report: Value = serde_json::from_str(&said).with_context(|| format!("iperf3 said {said}"))?;
    let bits = report.pointer("/end/sum_received/bits_per_second").and_then(Value::as_f64);
    Ok(bits.with_context(|| format!("no bits_per_second: {said}"))? / 1e9)
}
