//! `make ebpf`: compiles the programs and prints where the object file is.

use std::{env, path::PathBuf, process::ExitCode};

use caracal_ebpf_builder::Build;

#[expect(clippy::print_stdout, reason = "the path is this program's output")]
fn main() -> ExitCode {
    let target_dir = env::args_os().nth(1).map_or_else(|| PathBuf::from("target/ebpf"), PathBuf::from);
    match Build::for_host("caracal-ebpf", target_dir).run() {
        Ok(object) => {
            println!("{}", object.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
