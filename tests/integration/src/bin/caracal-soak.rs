//! `make soak`: mixed traffic for `SECONDS`, a line every minute, and a failure if anything leaks.

use std::{env, process::ExitCode, time::Duration};

use anyhow::{Context as _, Result};
use caracal_integration::soak;

const PERIOD: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("soak: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "this is the program's output")]
fn run() -> Result<()> {
    let seconds = env::args().nth(1).context("usage: caracal-soak SECONDS")?;
    let seconds = seconds.parse().with_context(|| format!("{seconds:?} is no number of seconds"))?;
    soak::run(Duration::from_secs(seconds), PERIOD, |line| println!("{line}"))
}
