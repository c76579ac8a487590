//! The pinned nightly and the bpf-linker that fits its LLVM.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use crate::Error;

const PINNED: &str = include_str!("../toolchain.env");

/// A compiler and a linker that are known to be there.
#[derive(Clone, Debug)]
pub struct Toolchain {
    sysroot: PathBuf,
    /// The bpf-linker.
    pub linker: PathBuf,
}

impl Toolchain {
    /// Looks for the pinned versions.
    pub fn find() -> Result<Self, Error> {
        let missing = || Error::NoToolchain { toolchain: pinned("EBPF_TOOLCHAIN") };
        let sysroot = sysroot(pinned("EBPF_TOOLCHAIN")).ok_or_else(missing)?;
        if !sysroot.join("lib/rustlib/src/rust/library/core").is_dir() {
            return Err(missing());
        }
        let linker = find_linker().ok_or(Error::NoLinker { version: pinned("BPF_LINKER_VERSION") })?;
        Ok(Self { sysroot, linker })
    }

    /// A program of this toolchain, with the environment it and the linker need.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let bin = self.sysroot.join("bin");
        let mut command = Command::new(bin.join(program));
        // bpf-linker uses the compiler's own LLVM.
        command.env("LD_LIBRARY_PATH", self.sysroot.join("lib"));
        let path = env::var_os("PATH").unwrap_or_default();
        if let Ok(path) = env::join_paths([bin].into_iter().chain(env::split_paths(&path))) {
            command.env("PATH", path);
        }
        command
    }
}

fn pinned(name: &str) -> &'static str {
    PINNED.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
}

fn sysroot(toolchain: &str) -> Option<PathBuf> {
    let output = Command::new("rustup").args(["run", toolchain, "rustc", "--print", "sysroot"]).output().ok()?;
    output.status.success().then(|| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

fn find_linker() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories = tools_dir().map(|dir| dir.join("bin")).into_iter().chain(env::split_paths(&path));
    directories.map(|dir| dir.join("bpf-linker")).find(|file| file.is_file())
}

/// Where `make setup` installs what it builds: `$CARACAL_TOOLS`, else a directory of ours in the user's cache.
fn tools_dir() -> Option<PathBuf> {
    let cache = || Some(Path::new(&env::var_os("HOME")?).join(".cache/caracal-tools"));
    env::var_os("CARACAL_TOOLS").map(PathBuf::from).or_else(cache)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pinned_version_is_found() {
        for name in ["EBPF_TOOLCHAIN", "BPF_LINKER_VERSION", "BPF_LINKER_LLVM"] {
            assert!(!pinned(name).is_empty(), "{name}");
        }
    }
}
