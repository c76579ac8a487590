//! Azure's address service, or as much of it as `azure-vnet` asks for.
//!
//! `azure-cns-stub serve` reads its configuration from standard input and serves on loopback; `azure-cns-stub held`
//! asks it who has which address.

use std::{env, io, net::TcpListener, process::ExitCode};

use anyhow::{Context as _, Result, bail};
use caracal_azure::{
    cns::{ADDRESS, HELD, Service},
    http,
};
use serde_json::Value;

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
    match env::args().nth(1).as_deref() {
        Some("serve") => {
            let config = serde_json::from_reader(io::stdin()).context("configuration on standard input")?;
            let mut service = Service::new(config);
            let listener = TcpListener::bind(ADDRESS).with_context(|| format!("listening on {ADDRESS}"))?;
            eprintln!("serving on {ADDRESS}");
            http::serve(&listener, |method, path, body| {
                eprintln!("{method} {path} {body}");
                service.answer(method, path, body)
            })
            .context("accepting connections")
        }
        Some("held") => {
            let held = http::request(ADDRESS, "GET", HELD, &Value::Null).context("asking who has which address")?;
            serde_json::to_writer(io::stdout(), &held).context("writing the answer")
        }
        _ => bail!("usage: azure-cns-stub serve|held"),
    }
}
