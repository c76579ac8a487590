//! `caracalctl`: what the node really does, read from the kernel's own maps, so it works when the agent does not.

mod options;
mod output;
mod show;

use std::process::ExitCode;

use clap::Parser;

use crate::options::Options;

fn main() -> ExitCode {
    let options = Options::parse();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    match show::run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("caracalctl: {error:#}");
            ExitCode::FAILURE
        }
    }
}
