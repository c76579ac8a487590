//! Figures beside targets.

use std::{fs, path::Path};

use anyhow::Context;
use serde::Serialize;

mod calls;
mod row;

pub use calls::{Call, Quantiles};
pub use row::{Figure, Row, Target};

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
            text += &row::table(&self.rows);
        }
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
