//! `caracal-lab down`.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{state, wait::wait_until};

const ENDED_WITHIN: Duration = Duration::from_secs(15);

pub(super) fn run(lab: &str) -> Result<()> {
    let Some(keeper) = state::keeper_pid(lab)? else {
        if state::sweep()?.iter().any(|swept| swept == lab) {
            return Ok(());
        }
        bail!("no lab named `{lab}` is up");
    };
    kill(Pid::from_raw(keeper), Signal::SIGTERM).with_context(|| format!("ending the keeper of lab {lab}"))?;
    let log = state::dir_of(lab).join("keeper.log");
    wait_until(format_args!("the end of lab {lab}"), ENDED_WITHIN, || !state::dir_of(lab).exists())
        .with_context(|| format!("see {}", log.display()))
}
