//! Where the binaries under test are: beside the test that runs, in cargo's target directory.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};

/// The binary `name` of this workspace, built by the same cargo profile as the running program.
///
/// Looks at `CARGO_BIN_EXE_<name>`, then in the directory of the running program and in those above it: a test runs as
/// `target/debug/deps/it-0123`, the binary is `target/debug/<name>`.
pub fn bin(name: &str) -> Result<PathBuf> {
    if let Some(path) = env::var_os(format!("CARGO_BIN_EXE_{name}")) {
        return Ok(path.into());
    }
    let exe = env::current_exe().context("finding the running program")?;
    match beside(&exe, name) {
        Some(path) => Ok(path),
        None => bail!(
            "no binary `{name}` in {} or the two directories above it: run `cargo build` first",
            exe.parent().unwrap_or(&exe).display()
        ),
    }
}

/// A program of another project, as `install/setup.sh` builds it: `name` in the folder `project`, of the version that
/// `install/peers.env` has under `key`.
pub fn peer(project: &str, key: &str, name: &str) -> Result<PathBuf> {
    let mut lines = include_str!("../../../install/peers.env").lines().filter_map(|line| line.split_once('='));
    let Some((_, version)) = lines.find(|(found, _)| *found == key) else { bail!("install/peers.env has no {key}") };
    let path = tools()?.join("peers").join(format!("{project}-{version}")).join(name);
    ensure!(path.is_file(), "no {}: run `make setup`", path.display());
    Ok(path)
}

fn tools() -> Result<PathBuf> {
    if let Some(tools) = env::var_os("CARACAL_TOOLS") {
        return Ok(tools.into());
    }
    let home = env::var_os("HOME").context("neither CARACAL_TOOLS nor HOME says where install/setup.sh builds")?;
    Ok(PathBuf::from(home).join(".cache/caracal-tools"))
}

/// Cargo's target directory, where the running program comes from. `None` for an installed program.
#[must_use]
pub fn target_dir() -> Option<PathBuf> {
    let exe = env::current_exe().ok()?;
    exe.ancestors().find(|dir| dir.join("CACHEDIR.TAG").is_file()).map(Path::to_owned)
}

fn beside(exe: &Path, name: &str) -> Option<PathBuf> {
    exe.ancestors().skip(1).take(3).map(|dir| dir.join(name)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_test_finds_the_binary_two_directories_up_and_no_further() {
        let root = tempfile::tempdir().unwrap();
        let deps = root.path().join("target/debug/deps");
        fs::create_dir_all(&deps).unwrap();
        let exe = deps.join("it-0123");

        fs::write(root.path().join("prog"), "").unwrap();
        assert_eq!(beside(&exe, "prog"), None, "the workspace root is not searched");

        let built = root.path().join("target/debug/prog");
        fs::write(&built, "").unwrap();
        assert_eq!(beside(&exe, "prog"), Some(built));
    }

    #[test]
    fn a_missing_binary_is_an_error_that_says_what_to_run() {
        let error = bin("no-such-program").unwrap_err().to_string();
        assert!(error.contains("no-such-program") && error.contains("cargo build"), "{error}");
    }
}
