//! Figures beside targets.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::Context;
use serde::Serialize;

mod calls;

pub use calls::{Call, Quantiles};

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// In which unit.
    pub unit: &'static str,
    /// The best of all rounds.
    pub value: f64,
    /// The median of all rounds.
    pub median: f64,
    /// What it is compared with.
    pub peer: Option<&'static str>,
    /// The peer's figure.
    pub peer_value: Option<f64>,
    /// Ours by the peer's.
    pub ratio: Option<f64>,
    /// What is to be reached.
    pub target: Option<f64>,
    /// Whether it is.
    pub met: Option<bool>,
}

/// All figures of a run, and the machine they are from.
#[derive(Debug, Serialize)]
pub struct Report {
    machine: Machine,
    rows: Vec<Row>,
    calls: Vec<Call>,
}

#[derive(Debug, Serialize)]
struct Machine {
    kernel: String,
    cpu: String,
    /// Processes that wanted to run in the last minute before the first measurement: others' too.
    load: String,
}

impl Default for Report {
    fn default() -> Self {
        Self { machine: Machine::this(), rows: Vec::new(), calls: Vec::new() }
    }
}

impl Machine {
    fn this() -> Self {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or_default().to_owned();
        Self { kernel, load, cpu: model.map(|(_, name)| name.to_owned()).unwrap_or_default() }
    }
}

impl Report {
    /// Adds a figure.
    pub fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Adds what calls of a plugin took.
    pub fn push_call(&mut self, call: Call) {
        self.calls.push(call);
    }

    /// For people.
    pub fn table(&self) -> String {
        let Machine { cpu, kernel, load } = &self.machine;
        let mut text = format!("{cpu} · Linux {kernel} · load {load} at the beginning\n\n");
        if !self.calls.is_empty() {
            text += &calls::table(&self.calls);
            text += "\n";
        }
        if !self.rows.is_empty() {
            text += &self.table_of_rows();
        }
        text
    }

    fn table_of_rows(&self) -> String {
        let mut text = String::new();
        let titles = ["", "min", "median", "unit", "peer", "ratio", "target"];
        let [name, min, median, unit, peer, ratio, target] = titles;
        let _ = writeln!(text, "{name:<52} {min:>8} {median:>8}  {unit:<10} {peer:>8} {ratio:>6} {target:>8}");
        for row in &self.rows {
            let target = row.target.map_or_else(String::new, |target| format!("≤ {target:.1}"));
            let met = match row.met {
                Some(true) => " met",
                Some(false) => " MISSED",
                None => "",
            };
            let _ = writeln!(
                text,
                "{:<52} {:>8.1} {:>8.1}  {:<10} {:>8} {:>6} {target:>8}{met}",
                row.name,
                row.value,
                row.median,
                row.unit,
                number(row.peer_value, 1),
                number(row.ratio, 2),
            );
        }
        let mut peers: Vec<&str> = self.rows.iter().filter_map(|row| row.peer).collect();
        peers.dedup();
        let _ = writeln!(text, "peer: {}\n", peers.join("; "));
        text
    }

    /// For scripts.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let directory = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory).with_context(|| format!("{}: cannot create it", directory.display()))?;
        let json = serde_json::to_string_pretty(self)?;
        fs::write(path, json + "\n").with_context(|| format!("{}: cannot write it", path.display()))
    }
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(String::new, |value| format!("{value:.digits$}"))
}
