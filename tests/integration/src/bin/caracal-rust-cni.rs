//! A runtime that we did not write, as a program: `caracal-rust-cni setup|remove CONTAINER_ID NETNS`.
//!
//! It drives whatever `/etc/cni/net.d` names by the `rust-cni` crate, which is lenient: it ignores exit codes, and sends
//! DEL without a previous result.

use std::{env, process::ExitCode};

use rust_cni::cni::Libcni;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [verb, id, netns] = arguments.as_slice() else {
        eprintln!("usage: caracal-rust-cni setup|remove CONTAINER_ID NETNS");
        return ExitCode::FAILURE;
    };
    let mut runtime = Libcni::default();
    runtime.load_default_conf();
    let done = match verb.as_str() {
        "setup" => runtime.setup(id.clone(), netns.clone()),
        "remove" => runtime.remove(id.clone(), netns.clone()),
        other => Err(format!("{other} is neither setup nor remove")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{verb} {id}: {error}");
            ExitCode::FAILURE
        }
    }
}
