//! Who gets which address. Pure arithmetic: the same specification always gives the same plan.
//!
//! The machine at offset 11 of the LAN `172.31.0.0/16, fd00:1ab::/48` is `172.31.0.11` and `fd00:1ab::11` on a bridge,
//! and `172.31.11.10` and `fd00:1ab:0:11::10` in a subnet of its own behind a router. Digits of the offset are kept in
//! IPv6, so that both addresses of a machine can be recognised.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use anyhow::{Result, bail, ensure};
use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::spec::{LabSpec, LanKind};

const FIRST_NODE: u8 = 11;
const FIRST_CLIENT: u8 = 101;
const GATEWAY: u8 = 1;
const ROUTED_HOST: u8 = 10;

/// What a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The bridge or the router between the others.
    Lan,
    /// A Kubernetes node.
    Node,
    /// Something on the LAN that is no node.
    Client,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Lan => "lan",
            Self::Node => "node",
            Self::Client => "client",
        })
    }
}

/// A node or client and its addresses, each with the prefix length of its link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placement {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) addresses: Vec<IpNetwork>,
    pub(crate) pod_cidrs: Vec<IpNetwork>,
}

impl Placement {
    /// The address of the same family as `other`.
    pub(crate) fn address_like(&self, other: &IpNetwork) -> Option<IpAddr> {
        self.addresses.iter().map(IpNetwork::ip).find(|ip| ip.is_ipv4() == other.is_ipv4())
    }
}

/// Places the nodes and clients of `spec`, in its order.
pub(crate) fn plan(spec: &LabSpec) -> Result<Vec<Placement>> {
    let mut places = Vec::new();
    for (node, index) in spec.nodes.iter().zip(0_u8..) {
        let pod_cidrs = match &node.pod_cidrs {
            Some(cidrs) => cidrs.clone(),
            None => default_pod_cidrs(index.saturating_add(1)),
        };
        let offset = FIRST_NODE.saturating_add(index);
        let addresses = addresses(spec, &node.name, &node.addresses, offset)?;
        places.push(Placement { name: node.name.clone(), kind: Kind::Node, addresses, pod_cidrs });
    }
    for (client, index) in spec.clients.iter().zip(0_u8..) {
        let offset = FIRST_CLIENT.saturating_add(index);
        let addresses = addresses(spec, &client.name, &client.addresses, offset)?;
        places.push(Placement { name: client.name.clone(), kind: Kind::Client, addresses, pod_cidrs: Vec::new() });
    }
    for (place, index) in places.iter().zip(1..) {
        for other in places.iter().skip(index) {
            if let Some(shared) = place.addresses.iter().find(|net| other.addresses.iter().any(|o| o.ip() == net.ip()))
            {
                bail!("{} and {} both have address {}", place.name, other.name, shared.ip());
            }
        }
    }
    Ok(places)
}

/// The gateway of the link on which `address` is: its first address.
pub(crate) fn gateway_of(address: &IpNetwork) -> Result<IpNetwork> {
    Ok(IpNetwork::new(nth_address(address, GATEWAY)?, address.prefix())?)
}

fn addresses(spec: &LabSpec, name: &str, asked: &[IpAddr], offset: u8) -> Result<Vec<IpNetwork>> {
    if asked.is_empty() {
        return spec.lan_cidrs.iter().map(|cidr| default_address(spec.lan, cidr, offset)).collect();
    }
    let mut placed = Vec::new();
    for ip in asked {
        let Some(cidr) = spec.lan_cidrs.iter().find(|cidr| cidr.contains(*ip)) else {
            bail!("address {ip} of {name} is in none of lanCIDRs");
        };
        let address = IpNetwork::new(*ip, link_prefix(spec.lan, cidr))?;
        ensure!(gateway_of(&address)?.ip() != *ip, "address {ip} of {name} belongs to the LAN's gateway");
        placed.push(address);
    }
    Ok(placed)
}

fn default_address(lan: LanKind, cidr: &IpNetwork, offset: u8) -> Result<IpNetwork> {
    let prefix = link_prefix(lan, cidr);
    let ip = match lan {
        LanKind::Bridge => nth_address(cidr, offset)?,
        LanKind::Routed => nth_address(&nth_subnet(cidr, prefix, offset)?, ROUTED_HOST)?,
    };
    Ok(IpNetwork::new(ip, prefix)?)
}

/// Prefix length of a machine's link: the whole LAN on a bridge, one of its subnets behind a router.
fn link_prefix(lan: LanKind, cidr: &IpNetwork) -> u8 {
    match (lan, cidr) {
        (LanKind::Bridge, _) => cidr.prefix(),
        (LanKind::Routed, IpNetwork::V4(_)) => 24,
        (LanKind::Routed, IpNetwork::V6(_)) => 64,
    }
}

fn default_pod_cidrs(node: u8) -> Vec<IpNetwork> {
    let v4 = ipnetwork::Ipv4Network::new_checked(Ipv4Addr::new(10, 244, node, 0), 24);
    let v6_address = Ipv6Addr::new(0xfd00, 0x10, 0x244, same_digits(node), 0, 0, 0, 0);
    let v6 = ipnetwork::Ipv6Network::new_checked(v6_address, 64);
    v4.map(IpNetwork::V4).into_iter().chain(v6.map(IpNetwork::V6)).collect()
}

/// The number whose hexadecimal digits are the decimal digits of `n`: 11 becomes 0x11.
fn same_digits(n: u8) -> u16 {
    let n = u16::from(n);
    ((n / 100) << 8) | ((n / 10 % 10) << 4) | (n % 10)
}

fn nth_address(net: &IpNetwork, n: u8) -> Result<IpAddr> {
    let ip = match net.network() {
        IpAddr::V4(base) => IpAddr::V4(Ipv4Addr::from_bits(base.to_bits() + u32::from(n))),
        IpAddr::V6(base) => IpAddr::V6(Ipv6Addr::from_bits(base.to_bits() + u128::from(same_digits(n)))),
    };
    ensure!(net.contains(ip), "{net} is too small for a host number {n}");
    Ok(ip)
}

fn nth_subnet(net: &IpNetwork, prefix: u8, n: u8) -> Result<IpNetwork> {
    let base = match net.network() {
        IpAddr::V4(base) => IpAddr::V4(Ipv4Addr::from_bits(base.to_bits() + (u32::from(n) << (32 - prefix)))),
        IpAddr::V6(base) => {
            IpAddr::V6(Ipv6Addr::from_bits(base.to_bits() + (u128::from(same_digits(n)) << (128 - prefix))))
        }
    };
    ensure!(net.contains(base), "{net} is too small for a /{prefix} number {n}; a routed LAN wants a /16 and a /48");
    Ok(IpNetwork::new(base, prefix)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{ClientSpec, NodeSpec};

    fn two_nodes(lan: LanKind) -> LabSpec {
        LabSpec {
            lan,
            nodes: vec![NodeSpec::new("n1"), NodeSpec::new("n2")],
            clients: vec![ClientSpec::new("c1")],
            ..LabSpec::new("test")
        }
    }

    fn text(place: &Placement) -> Vec<String> {
        place.addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_bridge_is_one_link() {
        let places = plan(&two_nodes(LanKind::Bridge)).unwrap();
        assert_eq!(text(&places[0]), ["172.31.0.11/16", "fd00:1ab::11/48"]);
        assert_eq!(text(&places[1]), ["172.31.0.12/16", "fd00:1ab::12/48"]);
        assert_eq!(text(&places[2]), ["172.31.0.101/16", "fd00:1ab::101/48"]);
        assert_eq!(gateway_of(&places[2].addresses[0]).unwrap().to_string(), "172.31.0.1/16");
    }

    #[test]
    fn behind_a_router_each_machine_has_a_link_of_its_own() {
        let places = plan(&two_nodes(LanKind::Routed)).unwrap();
        assert_eq!(text(&places[0]), ["172.31.11.10/24", "fd00:1ab:0:11::10/64"]);
        assert_eq!(text(&places[2]), ["172.31.101.10/24", "fd00:1ab:0:101::10/64"]);
        assert_eq!(gateway_of(&places[2].addresses[1]).unwrap().to_string(), "fd00:1ab:0:101::1/64");
    }

    #[test]
    fn pod_ranges_differ_by_node_unless_they_are_given() {
        let mut spec = two_nodes(LanKind::Bridge);
        spec.nodes[1].pod_cidrs = Some(vec!["10.9.0.0/16".parse().unwrap()]);
        let places = plan(&spec).unwrap();
        let cidrs: Vec<_> = places[0].pod_cidrs.iter().map(ToString::to_string).collect();
        assert_eq!(cidrs, ["10.244.1.0/24", "fd00:10:244:1::/64"]);
        assert_eq!(places[1].pod_cidrs[0].to_string(), "10.9.0.0/16");
        assert!(places[2].pod_cidrs.is_empty(), "a client has no pods");
    }

    #[test]
    fn addresses_that_cannot_work_are_refused_by_name() {
        let with = |address: &str| {
            let mut spec = two_nodes(LanKind::Bridge);
            spec.nodes[0].addresses = vec![address.parse().unwrap()];
            plan(&spec).map(|places| text(&places[0])).map_err(|error| error.to_string())
        };
        assert_eq!(with("172.31.9.9"), Ok(vec!["172.31.9.9/16".to_owned()]));
        assert!(with("192.0.2.1").unwrap_err().contains("192.0.2.1 of n1 is in none of lanCIDRs"));
        assert!(with("172.31.0.1").unwrap_err().contains("gateway"));
        assert!(with("172.31.0.12").unwrap_err().contains("n1 and n2 both have address 172.31.0.12"));
    }

    #[test]
    fn a_lan_that_is_too_small_is_refused() {
        let mut spec = two_nodes(LanKind::Routed);
        spec.lan_cidrs = vec!["192.0.2.0/24".parse().unwrap()];
        assert!(plan(&spec).unwrap_err().to_string().contains("192.0.2.0/24 is too small"));
    }
}
