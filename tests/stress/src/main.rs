//! Does on a node what a test asks for: `caracal-stress kill|crowd`, work as JSON on standard input, report as JSON on
//! standard output.

use std::{env, io, process::ExitCode};

use anyhow::{Context as _, Result, bail};
use caracal_stress::{crowd, kill};
use serde::{Serialize, de::DeserializeOwned};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["kill"] => reply(kill::run),
        ["crowd"] => reply(crowd::run),
        _ => bail!("usage: caracal-stress kill|crowd"),
    }
}

fn reply<W: DeserializeOwned, R: Serialize>(work: impl FnOnce(&W) -> Result<R>) -> Result<()> {
    let wanted = serde_json::from_reader(io::stdin()).context("what to do, as JSON on standard input")?;
    serde_json::to_writer(io::stdout(), &work(&wanted)?).context("writing the report")
}
