//! What interfaces do with many packets at once, by ethtool.

use anyhow::{Context as _, Result};

use crate::site::Site;

/// What `ethtool -K` calls them. Checksums come last when switched on, and first when off: the kernel switches what needs
/// them off by itself, and not on again.
const OFFLOADS: [&str; 8] = ["rx", "tx", "sg", "tso", "gso", "gro", "tx-udp-segmentation", "tx-sctp-segmentation"];

/// Switches all of them.
pub(crate) fn set_offloads<S: Site + ?Sized>(site: &S, ifname: &str, on: bool) -> Result<()> {
    let to = if on { "on" } else { "off" };
    let switches = OFFLOADS.iter().flat_map(|name| [*name, to]);
    let set = site.run("ethtool", ["-K", ifname].into_iter().chain(switches));
    set.map(drop)
        .with_context(|| format!("switching offloads of {ifname} of {} {to} (is ethtool installed?)", site.label()))
}

/// Whether a feature is on, by its name in `ethtool -k`.
pub(crate) fn offload<S: Site + ?Sized>(site: &S, ifname: &str, feature: &str) -> Result<bool> {
    let features = site.run("ethtool", ["-k", ifname])?;
    let line = features.lines().find_map(|line| line.trim().strip_prefix(feature)?.strip_prefix(": "));
    let line = line.with_context(|| format!("{ifname} of {} has no feature {feature}:\n{features}", site.label()))?;
    Ok(line.starts_with("on"))
}
