//! Compiles a crate of eBPF programs into one object file.
//!
//! The build scripts of `datapath` and `tests/harness` and `make ebpf` all come here, so there is one way to build the programs and no stale object.
//! When a tool is missing, the error is one line that names it and the make target that installs it.

#![expect(clippy::disallowed_methods, reason = "a build tool runs the compiler")]

mod build_script;
mod error;
mod toolchain;

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

pub use build_script::build_script;
pub use error::Error;
pub use toolchain::Toolchain;

/// What to build for, and where.
#[derive(Clone, Debug)]
pub struct Build {
    /// The crate; its binary has the same name.
    pub package: &'static str,
    /// Architecture whose registers and calling convention the programs see, as Rust names it (`x86_64`, `aarch64`).
    pub arch: String,
    /// `little` or `big`.
    pub endian: String,
    /// Cargo's target directory for this build. Never the one of a cargo that is waiting for us: it holds the lock.
    pub target_dir: PathBuf,
}

impl Build {
    /// For the machine this runs on.
    #[must_use]
    pub fn for_host(package: &'static str, target_dir: PathBuf) -> Self {
        let endian = if cfg!(target_endian = "big") { "big" } else { "little" };
        Self { package, arch: env::consts::ARCH.to_owned(), endian: endian.to_owned(), target_dir }
    }

    /// For the target of the build script that calls this.
    pub fn for_build_script(package: &'static str) -> Result<Self, Error> {
        Ok(Self {
            package,
            arch: cargo_var("CARGO_CFG_TARGET_ARCH")?,
            endian: cargo_var("CARGO_CFG_TARGET_ENDIAN")?,
            target_dir: shared_target_dir(Path::new(&cargo_var("OUT_DIR")?)),
        })
    }

    /// Runs the compiler and returns the path of the object file.
    pub fn run(&self) -> Result<PathBuf, Error> {
        let toolchain = Toolchain::find()?;
        let target = if self.endian == "big" { "bpfeb-unknown-none" } else { "bpfel-unknown-none" };
        let status =
            self.cargo(&toolchain, target).status().map_err(|source| Error::Spawn { what: "cargo", source })?;
        if !status.success() {
            return Err(Error::Compile { status });
        }
        Ok(self.target_dir.join(target).join(PROFILE).join(self.package))
    }

    fn cargo(&self, toolchain: &Toolchain, target: &str) -> Command {
        let mut cargo = toolchain.command("cargo");
        // A calling cargo (build script, clippy, `cargo run`) leaves its own compiler and flags in the environment.
        for (name, _) in env::vars_os().filter(|(name, _)| belongs_to_outer_cargo(name)) {
            cargo.env_remove(name);
        }
        cargo
            .current_dir(workspace())
            .env("CARGO_ENCODED_RUSTFLAGS", self.rustflags(toolchain))
            .args(["build", "--package", self.package, "--bin", self.package, "--profile", PROFILE, "--target", target])
            .args(["-Z", "build-std=core", "--locked", "--target-dir"])
            .arg(&self.target_dir);
        cargo
    }

    fn rustflags(&self, toolchain: &Toolchain) -> OsString {
        let mut flags = OsString::from("-Clinker=");
        flags.push(&toolchain.linker);
        for flag in [
            // aya-ebpf reads function arguments and registers by it.
            &format!("--cfg=bpf_target_arch=\"{}\"", self.arch),
            // BTF is made from the debug info.
            "-Cdebuginfo=2",
            "-Clink-arg=--btf",
            // v3: 32-bit registers and jumps, and atomics that fetch (kernel 5.12). The default is v1.
            "-Ctarget-cpu=v3",
        ] {
            flags.push("\x1f");
            flags.push(flag);
        }
        flags
    }
}

/// Files and directories whose change means another object, for `cargo::rerun-if-changed`.
fn inputs() -> Vec<PathBuf> {
    let manifests = ["Cargo.lock", "Cargo.toml", "ebpf/Cargo.toml", "ebpf/logic/Cargo.toml", "tests/ebpf/Cargo.toml"];
    let sources = ["ebpf/abi", "ebpf/builder", "ebpf/logic/src", "ebpf/src", "tests/ebpf/src"];
    manifests.into_iter().chain(sources).map(|path| workspace().join(path)).collect()
}

const PROFILE: &str = "ebpf";

/// The workspace that is being built.
///
/// Asked for at run time: a build script is not compiled anew for every clone whose target directory it lies in, and what
/// it was compiled with would be the sources of another one.
fn workspace() -> PathBuf {
    let here = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    let root = here.ancestors().find(|directory| directory.join("ebpf/builder/Cargo.toml").exists());
    root.unwrap_or(Path::new(".")).to_owned()
}

fn belongs_to_outer_cargo(name: &std::ffi::OsStr) -> bool {
    let name = name.to_string_lossy();
    let kept = ["CARGO_HOME", "CARGO_HTTP", "CARGO_NET", "CARGO_REGISTRIES", "CARGO_REGISTRY", "CARGO_SOURCE"];
    let ours =
        name.starts_with("CARGO") || name.starts_with("RUSTC") || name == "RUSTFLAGS" || name == "RUSTUP_TOOLCHAIN";
    ours && !kept.iter().any(|prefix| name.starts_with(prefix))
}

/// One `ebpf` directory for all profiles of the calling cargo: the object is the same for all of them.
///
/// Cargo marks its target directory with a `CACHEDIR.TAG`; the build script's own directory serves where it does not.
fn shared_target_dir(out_dir: &Path) -> PathBuf {
    let root = out_dir.ancestors().find(|dir| dir.join("CACHEDIR.TAG").exists());
    root.unwrap_or(out_dir).join("ebpf")
}

fn cargo_var(name: &'static str) -> Result<String, Error> {
    env::var(name).map_err(|source| Error::NotABuildScript { name, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outer_cargos_compiler_is_not_inherited_but_its_registries_are() {
        for name in
            ["RUSTC", "RUSTC_WORKSPACE_WRAPPER", "CARGO_ENCODED_RUSTFLAGS", "CARGO_MANIFEST_DIR", "RUSTUP_TOOLCHAIN"]
        {
            assert!(belongs_to_outer_cargo(name.as_ref()), "{name}");
        }
        for name in
            ["PATH", "CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_REGISTRIES_CRATES_IO_PROTOCOL", "RUSTUP_HOME", "HOME"]
        {
            assert!(!belongs_to_outer_cargo(name.as_ref()), "{name}");
        }
    }

    #[test]
    fn every_input_exists() {
        for input in inputs() {
            assert!(input.exists(), "{}", input.display());
        }
    }
}
