//! Programs of other projects, as `install/peers.sh` builds them.

use std::fs;

use anyhow::{Result, ensure};
use caracal_lab::peer;

/// Where Debian's containernetworking-plugins are.
const DEBIAN: &str = "/usr/lib/cni";

/// The CNI project's plugins that are built.
pub const PLUGINS: [&str; 9] =
    ["bandwidth", "bridge", "firewall", "host-local", "loopback", "portmap", "ptp", "static", "tuning"];

/// libcni with a command line.
pub fn cnitool() -> Result<String> {
    Ok(peer("cni", "CNITOOL_VERSION", "cnitool")?.display().to_string())
}

/// A plugin of the CNI project, in the newest version.
pub fn plugin(name: &str) -> Result<String> {
    Ok(peer("plugins", "PLUGINS_VERSION", name)?.display().to_string())
}

/// The same plugin in the version that Debian has.
pub fn debian_plugin(name: &str) -> Result<String> {
    let path = format!("{DEBIAN}/{name}");
    ensure!(fs::exists(&path)?, "no {path}: run `apt-get install containernetworking-plugins`");
    Ok(path)
}
