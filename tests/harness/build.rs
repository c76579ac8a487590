//! Compiles the programs that only tests load.

use std::process::ExitCode;

fn main() -> ExitCode {
    caracal_ebpf_builder::build_script("caracal-test-ebpf", "test.bpf.o")
}
