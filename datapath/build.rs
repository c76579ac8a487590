//! Compiles the eBPF programs, so that the object inside the binaries is never older than its source.

use std::process::ExitCode;

fn main() -> ExitCode {
    caracal_ebpf_builder::build_script("caracal-ebpf", "caracal.bpf.o")
}
