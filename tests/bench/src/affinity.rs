//! Staying where we are: a figure that moves between CPUs is two figures.

use anyhow::Context;
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

/// Pins this process to the last CPU it may use: interrupts tend to be served by the first.
pub fn stay_on_one_cpu() -> anyhow::Result<()> {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this).context("sched_getaffinity")?;
    let mut cpus = (0..CpuSet::count()).rev().filter(|&cpu| allowed.is_set(cpu).unwrap_or(false));
    let mut one = CpuSet::new();
    one.set(cpus.next().context("no CPU to run on")?)?;
    sched_setaffinity(this, &one).context("sched_setaffinity")
}
