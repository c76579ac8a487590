//! `caracal-lab exec`.

use std::{env, os::unix::process::ExitStatusExt as _, process::ExitCode};

use anyhow::{Context as _, Result};
use nix::sys::signal::{SigSet, Signal};

use crate::{lab, process::Command, site::Site as _};

pub(super) fn run(lab: &str, place: &str, command: &[String]) -> Result<ExitCode> {
    let (machine, pod) = place.split_once('/').map_or((place, None), |(machine, pod)| (machine, Some(pod)));
    let machine = lab::attach(lab, machine)?;
    let netns = pod.map_or_else(|| Ok(machine.netns().clone()), |pod| machine.open_netns(pod))?;
    let shell = env::var("SHELL").unwrap_or_else(|_| "/bin/sh".to_owned());
    let (program, args) = command.split_first().map_or((&shell, &[][..]), |(program, args)| (program, args));
    // Ctrl-C is for the command, which gets it from the terminal too; this process waits for what it makes of it.
    let mut for_command = SigSet::empty();
    for_command.add(Signal::SIGINT);
    for_command.add(Signal::SIGQUIT);
    for_command.thread_block().context("blocking signals")?;
    let status = Command::new(machine, netns, program).args(args).interactive()?;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    Ok(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from))
}
