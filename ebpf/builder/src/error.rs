//! What can go wrong, each in one line that says what to do.

use std::{fmt, io, process::ExitStatus};

/// Why there is no object file.
#[derive(Debug)]
pub enum Error {
    /// The pinned nightly is not installed, or rustup itself is not.
    NoToolchain {
        /// Its name for rustup.
        toolchain: &'static str,
    },
    /// No bpf-linker where `make setup` puts it, nor on the path.
    NoLinker {
        /// The version wanted.
        version: &'static str,
    },
    /// A program could not be started.
    Spawn {
        /// Its name.
        what: &'static str,
        /// The system's word.
        source: io::Error,
    },
    /// The compiler refused the programs; it has said why itself.
    Compile {
        /// Its exit status.
        status: ExitStatus,
    },
    /// Called as from a build script, outside of one.
    NotABuildScript {
        /// The variable that cargo sets for build scripts.
        name: &'static str,
        /// Why it could not be read.
        source: std::env::VarError,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoToolchain { toolchain } => {
                write!(f, "the compiler for the eBPF programs ({toolchain} with rust-src) is missing: run `make setup`")
            }
            Self::NoLinker { version } => write!(f, "bpf-linker {version} is missing: run `make setup`"),
            Self::Spawn { what, source } => write!(f, "cannot run {what}: {source}"),
            Self::Compile { status } => write!(f, "the eBPF programs do not compile (cargo: {status})"),
            Self::NotABuildScript { name, source } => write!(f, "{name}: {source}; only cargo's build scripts have it"),
        }
    }
}

impl std::error::Error for Error {}
