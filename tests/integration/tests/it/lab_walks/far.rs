//! Somebody beyond a node, who has links to it and to nobody else.

use std::net::IpAddr;

use caracal_lab::{Machine, NetNs, Node, Site};

/// Somebody with an address of its own behind several links: the node's `eth1`, `eth2`, … are the other's too.
#[derive(Debug)]
pub struct Far {
    machine: Machine,
    netns: NetNs,
    addresses: Vec<IpAddr>,
}

const NAME: &str = "far";

impl Far {
    /// Its own addresses, which the node reaches by the first link.
    pub const OWN: [&str; 2] = ["198.51.100.9", "2001:db8:9::9"];

    /// Beyond `node`, behind so many links.
    pub fn beyond(node: &Node, links: u8) -> Self {
        let machine = node.machine().clone();
        let netns = machine.add_netns(NAME).unwrap();
        let far = Self { machine, netns, addresses: Self::OWN.map(|ip| ip.parse().unwrap()).into() };
        far.run("ip", ["link", "set", "lo", "up"]).unwrap();
        for ip in Self::OWN {
            far.run("ip", ["address", "add", ip, "dev", "lo"]).unwrap();
        }
        for link in 1..=links {
            let name = Self::nic(link);
            let pair = ["link", "add", &name, "type", "veth", "peer", "name", &name, "netns", NAME];
            node.run("ip", pair).unwrap();
            join(&far, &name, &Self::link_addresses(link).map(|[_, far]| far));
            join(node, &name, &Self::link_addresses(link).map(|[node, _]| node));
        }
        far.reached_by(node, 1);
        far.reaches_by(1);
        far
    }

    /// The name of a link's both ends.
    pub fn nic(link: u8) -> String {
        format!("eth{link}")
    }

    /// The addresses of the node and of this on a link, for each family.
    pub fn link_addresses(link: u8) -> [[String; 2]; 2] {
        [[1, 2].map(|end| format!("198.18.{link}.{end}")), [1, 2].map(|end| format!("2001:db8:{link}::{end}"))]
    }

    /// The node sends to this by another link from now on.
    pub fn reached_by(&self, node: &Node, link: u8) {
        for (own, [_, far]) in Self::OWN.iter().zip(Self::link_addresses(link)) {
            node.run("ip", ["route", "replace", own, "via", &far]).unwrap();
        }
    }

    /// This sends to everybody by another link from now on.
    pub fn reaches_by(&self, link: u8) {
        for ([node, _], own) in Self::link_addresses(link).iter().zip(Self::OWN) {
            self.run("ip", ["route", "replace", "default", "via", node, "src", own]).unwrap();
        }
    }
}

fn join(site: &impl Site, link: &str, addresses: &[String]) {
    site.run("ip", ["link", "set", link, "up"]).unwrap();
    for ip in addresses {
        let prefix = if ip.contains(':') { 64 } else { 24 };
        site.run("ip", ["address", "add", &format!("{ip}/{prefix}"), "dev", link, "nodad"]).unwrap();
    }
}

impl Site for Far {
    fn machine(&self) -> &Machine {
        &self.machine
    }

    fn netns(&self) -> &NetNs {
        &self.netns
    }

    fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }
}
