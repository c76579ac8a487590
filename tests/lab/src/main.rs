//! `caracal-lab`: labs for people, and the helper processes of all labs.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use caracal_lab::cli;
use clap::Parser as _;

fn main() -> ExitCode {
    let args = cli::Args::parse();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).format_timestamp(None).init();
    match args.run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("caracal-lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}
