//! Programs of other projects, as `install/peers.sh` builds them.

use std::{env, fs, path::PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

/// Where Debian's containernetworking-plugins are.
const DEBIAN: &str = "/usr/lib/cni";

/// The CNI project's plugins that are built.
pub const PLUGINS: [&str; 9] =
    ["bandwidth", "bridge", "firewall", "host-local", "loopback", "portmap", "ptp", "static", "tuning"];

/// libcni with a command line.
pub fn cnitool() -> Result<String> {
    program(&format!("cni-{}", version("CNITOOL_VERSION")?), "cnitool")
}

/// A plugin of the CNI project, in the newest version.
pub fn plugin(name: &str) -> Result<String> {
    program(&format!("plugins-{}", version("PLUGINS_VERSION")?), name)
}

/// The same plugin in the version that Debian has.
pub fn debian_plugin(name: &str) -> Result<String> {
    let path = format!("{DEBIAN}/{name}");
    ensure!(fs::exists(&path)?, "no {path}: run `apt-get install containernetworking-plugins`");
    Ok(path)
}

fn program(folder: &str, name: &str) -> Result<String> {
    let path = tools()?.join("peers").join(folder).join(name);
    ensure!(path.is_file(), "no {}: run install/peers.sh", path.display());
    Ok(path.display().to_string())
}

fn tools() -> Result<PathBuf> {
    if let Some(tools) = env::var_os("CARACAL_TOOLS") {
        return Ok(tools.into());
    }
    let home = env::var_os("HOME").context("neither CARACAL_TOOLS nor HOME says where install/peers.sh builds")?;
    Ok(PathBuf::from(home).join(".cache/caracal-tools"))
}

/// What `install/peers.env` says.
fn version(key: &str) -> Result<&'static str> {
    let lines = include_str!("../../../install/peers.env").lines();
    let found = lines.filter_map(|line| line.split_once('=')).find(|(name, _)| *name == key);
    match found {
        Some((_, version)) => Ok(version),
        None => bail!("install/peers.env has no {key}"),
    }
}
