//! What the agent itself costs.

use std::{fmt, fs, time::Duration};

use nix::time::{ClockId, clock_gettime};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

/// Asked at each scrape, under the names that every exporter has.
#[derive(Debug)]
pub(super) struct Process {
    started: Duration,
}

impl Process {
    pub(super) fn new(started: Duration) -> Self {
        Self { started }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if let Ok(cpu) = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID) {
            let cpu = ConstCounter::new(Duration::from(cpu).as_secs_f64());
            let help = "User and system time spent";
            cpu.encode(encoder.encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?)?;
        }
        let files = fs::read_dir("/proc/self/fd").ok().and_then(|files| i64::try_from(files.count()).ok());
        let gauges = [
            ("process_resident_memory_bytes", "Memory in use", resident_bytes()),
            ("process_open_fds", "Open files", files),
            ("process_start_time_seconds", "When it was started", i64::try_from(self.started.as_secs()).ok()),
        ];
        for (name, help, value) in gauges {
            if let Some(value) = value {
                ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
            }
        }
        Ok(())
    }
}

/// By what the kernel says of the process.
fn resident_bytes() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}
