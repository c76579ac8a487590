//! Links, addresses and routes of the LAN, as input of `ip -batch`.
//!
//! Every link is made inside the LAN's namespace and its other end is moved into the node or client: nothing ever
//! exists in the real machine's network namespace. The functions here are pure; [`apply`] is the one place that runs
//! `ip`.

use std::{
    fmt::Write as _,
    io::{Seek as _, Write as _},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use ipnetwork::IpNetwork;

use crate::{
    address::{Kind, Placement, gateway_of},
    namespaces::{NetNs, in_netns},
    spec::LanKind,
    sys,
    wait::wait_for,
};

/// The interface of nodes and clients.
pub(crate) const UPLINK: &str = "eth0";

const BRIDGE: &str = "br0";

/// How long a busy machine may take to notice that links are up.
const CARRIERS: Duration = Duration::from_secs(20);

/// What all links of a lab have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LanSettings {
    pub(crate) kind: LanKind,
    pub(crate) mtu: u32,
    pub(crate) pod_routes: bool,
}

/// Commands for the LAN's namespace. `pids` are those of the inits of `places`.
pub(crate) fn lan_commands(lan: LanSettings, places: &[Placement], pids: &[i32]) -> Result<String> {
    let mut batch = String::new();
    if lan.kind == LanKind::Bridge {
        writeln!(batch, "link add {BRIDGE} mtu {} type bridge mcast_snooping 0 forward_delay 0", lan.mtu)?;
        for address in places.first().map_or(&[][..], |place| &place.addresses) {
            add_address(&mut batch, &gateway_of(address)?, BRIDGE)?;
        }
        writeln!(batch, "link set {BRIDGE} up")?;
    }
    for (place, pid) in places.iter().zip(pids) {
        let Placement { name, addresses, .. } = place;
        let mtu = lan.mtu;
        writeln!(batch, "link add {name} mtu {mtu} type veth peer name {UPLINK} mtu {mtu} netns {pid}")?;
        match lan.kind {
            LanKind::Bridge => writeln!(batch, "link set {name} master {BRIDGE} up")?,
            LanKind::Routed => {
                writeln!(batch, "link set {name} up")?;
                for address in addresses {
                    add_address(&mut batch, &gateway_of(address)?, name)?;
                }
            }
        }
    }
    if lan.pod_routes {
        for place in places {
            add_pod_routes(&mut batch, place)?;
        }
    }
    Ok(batch)
}

/// Commands for the namespace of `places[index]`, once the LAN's were run.
pub(crate) fn machine_commands(lan: LanSettings, places: &[Placement], index: usize) -> Result<String> {
    let mut batch = String::new();
    let place = places.get(index).context("a machine that was placed")?;
    writeln!(batch, "link set {UPLINK} up")?;
    for address in &place.addresses {
        add_address(&mut batch, address, UPLINK)?;
    }
    for address in &place.addresses {
        writeln!(batch, "route add default via {}", gateway_of(address)?.ip())?;
    }
    // Behind a router the default route says it all.
    if lan.pod_routes && lan.kind == LanKind::Bridge && place.kind == Kind::Node {
        for other in places.iter().filter(|other| other.name != place.name) {
            add_pod_routes(&mut batch, other)?;
        }
    }
    Ok(batch)
}

/// Runs the commands in `netns`, all or up to the first that fails.
pub(crate) fn apply(netns: &NetNs, batch: &str) -> Result<()> {
    let mut input = tempfile::tempfile().context("making a file for ip's input")?;
    input.write_all(batch.as_bytes()).and_then(|()| input.rewind()).context("writing ip's input")?;
    let output = in_netns(netns, || sys::command("ip").args(["-batch", "-"]).stdin(input).output())
        .and_then(|ran| ran)
        .with_context(|| format!("running `ip -batch -` in {} (is iproute2 installed?)", netns.label()))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip -batch in {}: {}\n{batch}", netns.label(), stderr.trim());
    Ok(())
}

/// Waits until the kernel has noticed that every veth in `netns` has its other end. It does so in a work queue, and drops what
/// is sent until then.
pub(crate) fn await_carriers(netns: &NetNs) -> Result<()> {
    wait_for(format_args!("the links of {}", netns.label()), CARRIERS, || {
        let arguments = ["-o", "link", "show", "type", "veth"];
        let output = in_netns(netns, || sys::command("ip").args(arguments).output()).and_then(|ran| ran);
        let listed = String::from_utf8_lossy(&output.map_err(|error| error.to_string())?.stdout).into_owned();
        match listed.lines().find(|link| !link.contains(" state UP ")) {
            Some(link) => Err(link.to_owned()),
            None => Ok(()),
        }
    })
}

fn add_address(batch: &mut String, address: &IpNetwork, link: &str) -> Result<()> {
    let nodad = if address.is_ipv6() { " nodad" } else { "" };
    writeln!(batch, "address add {}/{} dev {link}{nodad}", address.ip(), address.prefix())?;
    Ok(())
}

fn add_pod_routes(batch: &mut String, node: &Placement) -> Result<()> {
    for cidr in &node.pod_cidrs {
        if let Some(via) = node.address_like(cidr) {
            writeln!(batch, "route add {cidr} via {via}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        address,
        spec::{ClientSpec, LabSpec, NodeSpec},
    };

    fn places(lan: LanKind) -> Vec<Placement> {
        let mut spec = LabSpec { lan, clients: vec![ClientSpec::new("c1")], ..LabSpec::new("test") };
        spec.nodes = ["n1", "n2"].map(NodeSpec::new).into();
        spec.lan_cidrs.truncate(1);
        address::plan(&spec).unwrap()
    }

    #[test]
    fn a_bridge_joins_all_and_is_their_gateway() {
        let lan = LanSettings { kind: LanKind::Bridge, mtu: 1400, pod_routes: true };
        let places = places(lan.kind);
        let commands = lan_commands(lan, &places, &[11, 12, 13]).unwrap();
        assert!(commands.contains("address add 172.31.0.1/16 dev br0\n"), "{commands}");
        assert!(
            commands.contains(
                "link add n2 mtu 1400 type veth peer name eth0 mtu 1400 netns 12\nlink set n2 master br0 up\n"
            )
        );

        let node = machine_commands(lan, &places, 0).unwrap();
        assert!(node.contains("route add 10.244.2.0/24 via 172.31.0.12\n"), "{node}");
        assert!(!node.contains("10.244.1.0"), "no route to its own pods: {node}");
        assert!(!machine_commands(lan, &places, 2).unwrap().contains("10.244"), "a client asks the gateway");
    }

    #[test]
    fn a_router_has_an_address_on_each_link_and_the_pod_routes() {
        let lan = LanSettings { kind: LanKind::Routed, mtu: 1500, pod_routes: true };
        let places = places(lan.kind);
        let commands = lan_commands(lan, &places, &[11, 12, 13]).unwrap();
        assert!(!commands.contains("br0"), "{commands}");
        assert!(commands.contains("address add 172.31.12.1/24 dev n2\n"), "{commands}");
        assert!(commands.contains("route add 10.244.2.0/24 via 172.31.12.10\n"), "{commands}");
        let node = machine_commands(lan, &places, 1).unwrap();
        assert!(node.contains("route add default via 172.31.12.1\n") && !node.contains("10.244"), "{node}");
    }

    #[test]
    fn pod_routes_are_there_only_when_asked_for() {
        let lan = LanSettings { kind: LanKind::Bridge, mtu: 1500, pod_routes: false };
        let places = places(lan.kind);
        assert!(!lan_commands(lan, &places, &[1, 2, 3]).unwrap().contains("10.244"));
        assert!(!machine_commands(lan, &places, 0).unwrap().contains("10.244"));
    }
}
