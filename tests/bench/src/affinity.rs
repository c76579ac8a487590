//! Staying where we are: a figure that moves between CPUs is two figures.

use anyhow::Context;
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

/// Pins this process to [`the_cpu`].
pub fn stay_on_one_cpu() -> anyhow::Result<()> {
    let mut one = CpuSet::new();
    one.set(the_cpu()?)?;
    sched_setaffinity(Pid::from_raw(0), &one).context("sched_setaffinity")
}

/// The last CPU that this process may use: interrupts tend to be served by the first.
pub fn the_cpu() -> anyhow::Result<usize> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).context("sched_getaffinity")?;
    let last = (0..CpuSet::count()).rev().find(|&cpu| allowed.is_set(cpu).unwrap_or(false));
    last.context("no CPU to run on")
}
