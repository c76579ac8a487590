//! What the demo prints about pods and nodes.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use caracal_integration::Cluster;
use caracal_lab::{Pod, Site as _, bin, traffic::Ping};
use comfy_table::{Table, presets};

/// Names and addresses.
#[expect(clippy::print_stdout, reason = "the demo shows itself")]
pub fn pods(pods: &[Pod]) {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(["pod", "IPv4", "IPv6", "host side"]);
    for pod in pods {
        let host_side = pod.result()["interfaces"][0]["name"].as_str().unwrap_or("?").to_owned();
        table.add_row([pod.label().to_owned(), pod.ip4().to_string(), pod.ip6().to_string(), host_side]);
    }
    println!("\n{table}\n");
}

/// The first pod pings in the name of the last, which is on another node. Returns how many packets were dropped for it.
pub fn spoof(cluster: &Cluster, pods: &[Pod]) -> Result<u64> {
    const PACKETS: u64 = 3;
    let [forger, victim, .., foreign] = pods else { anyhow::bail!("too few pods") };
    let before = cluster.counted("n1", "spoofed_address")?;
    let address = foreign.ip4().to_string();
    forger.run("ip", ["addr", "add", &format!("{address}/32"), "dev", "lo"])?;
    for _ in 0..PACKETS {
        let ping =
            Ping::new(victim.ip4()).from(IpAddr::from(foreign.ip4())).timeout(std::time::Duration::from_millis(50));
        ensure!(forger.ping_with(&ping).is_err(), "a forged ping was answered");
    }
    let dropped = cluster.counted("n1", "spoofed_address")? - before;
    ensure!(dropped == PACKETS, "{PACKETS} forged packets, {dropped} counted as dropped");
    Ok(dropped)
}

/// What `caracalctl` says about a node.
#[expect(clippy::print_stdout, reason = "the demo shows itself")]
pub fn node(cluster: &Cluster, name: &str) -> Result<()> {
    for command in ["status", "counters"] {
        let said = cluster.node(name).command(bin("caracalctl")?).arg(command).run();
        println!("{name}: caracalctl {command}");
        for line in said.with_context(|| format!("caracalctl {command}"))?.lines() {
            println!("  {line}");
        }
        println!();
    }
    Ok(())
}
