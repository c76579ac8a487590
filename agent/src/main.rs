//! `caracal-agent`: keeps the node's shared maps and routes in step with what the cluster says.

use std::process::ExitCode;

use caracal_agent::{
    config::{Config, Invocation, Shared},
    face::{Face, Health},
    run,
};

/// As command lines that make no sense end.
const USAGE: u8 = 2;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let invocation = Invocation::parse(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let config = match Config::start(&invocation, std::env::vars_os()) {
        Ok(config) => config,
        Err(refusal) => return refused(&refusal.to_string()),
    };
    if let Some(output) = invocation.show {
        return show(&config.show(output));
    }
    let health = Health::default();
    let ended = match Face::new(Shared::new(config, health.clone()), health) {
        Ok(face) => run(&face).await,
        Err(error) => Err(error),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "this is the program's output")]
fn show(text: &str) -> ExitCode {
    print!("{text}");
    ExitCode::SUCCESS
}

#[expect(clippy::print_stderr, reason = "nobody has said yet how to log")]
fn refused(text: &str) -> ExitCode {
    for line in text.lines() {
        eprintln!("error: {line}");
    }
    ExitCode::from(USAGE)
}
