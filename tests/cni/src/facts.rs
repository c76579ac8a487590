//! What is true on a node or in a container, as `ip` tells it, and what a result says.

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use caracal_lab::Site;
use serde_json::{Value, json};

/// What `ip -json ARGUMENTS` says here; an empty list where it says nothing.
pub fn ip(site: &impl Site, arguments: &str) -> Result<Value> {
    let output = site.run("ip", ["-json"].into_iter().chain(arguments.split_whitespace()))?;
    if output.trim().is_empty() {
        return Ok(json!([]));
    }
    serde_json::from_str(&output).with_context(|| format!("ip -json {arguments}: {output}"))
}

/// A link with its addresses; `Null` if there is none of that name.
pub fn link(site: &impl Site, name: &str) -> Result<Value> {
    let links = ip(site, "-details address show")?;
    let mut links = links.as_array().into_iter().flatten();
    Ok(links.find(|link| link["ifname"] == name).cloned().unwrap_or_default())
}

/// The routes of a table, without those of the kernel's own, as `ip route` writes them; not who set them.
pub fn routes(site: &impl Site, family: &str, table: &str) -> Result<Vec<String>> {
    let output = site.command("ip").args([family, "route", "show", "table", table]).output()?;
    // A table that never had a route does not exist.
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let others = lines.filter(|line| !line.contains("proto kernel"));
    Ok(others.map(|line| line.replace(" proto static", "")).collect())
}

/// The addresses of a result, without their prefixes.
#[must_use]
pub fn addresses(result: &Value) -> Vec<IpAddr> {
    let ips = result["ips"].as_array().into_iter().flatten();
    ips.filter_map(|ip| ip["address"].as_str()?.split('/').next()?.parse().ok()).collect()
}
