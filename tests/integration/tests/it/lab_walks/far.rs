//! Somebody beyond a node, who has links to it and to nobody else.

use std::net::{IpAddr, SocketAddr};

use caracal_lab::{Machine, NetNs, Node, Process, Site};

/// Somebody with an address of its own behind several links: the node's `eth1`, `eth2`, … are the other's too.
#[derive(Debug)]
pub struct Far {
    machine: Machine,
    netns: NetNs,
    addresses: Vec<IpAddr>,
    links: u8,
}

const NAME: &str = "far";

impl Far {
    /// Its own addresses, which the node reaches by the first link.
    pub const OWN: [&str; 2] = ["198.51.100.9", "2001:db8:9::9"];

    /// Beyond `node`, behind so many links.
    pub fn beyond(node: &Node, links: u8) -> Self {
        let machine = node.machine().clone();
        let netns = machine.add_netns(NAME).unwrap();
        let far = Self { machine, netns, addresses: Self::OWN.map(|ip| ip.parse().unwrap()).into(), links };
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
        Self::reached_by(node, 1);
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

    /// A node sends to this by another link from now on.
    pub fn reached_by(node: &Node, link: u8) {
        for (own, [_, far]) in Self::OWN.iter().zip(Self::link_addresses(link)) {
            node.run("ip", ["route", "replace", own, "via", &far]).unwrap();
        }
    }

    /// This sends to everybody by another link from now on, also to the node's addresses on others.
    pub fn reaches_by(&self, link: u8) {
        let nic = Self::nic(link);
        for (family, own) in Self::OWN.iter().enumerate() {
            let node = |link: u8| Self::link_addresses(link)[family][0].clone();
            let hop = node(link);
            self.run("ip", ["route", "replace", &hop, "dev", &nic]).unwrap();
            self.run("ip", ["route", "replace", "default", "via", &hop, "dev", &nic, "src", own]).unwrap();
            for other in (1..=self.links).filter(|other| *other != link) {
                self.run("ip", ["route", "replace", &node(other), "via", &hop, "dev", &nic]).unwrap();
            }
        }
    }

    /// Starts servers that answer from its own addresses, whichever link they answer by.
    pub fn serve_as_itself(&self) -> Process {
        let own = self.addresses.iter();
        let listens =
            own.flat_map(|ip| [("tcp", 80), ("udp", 53)].map(|(kind, port)| (kind, SocketAddr::new(*ip, port))));
        let listens: Vec<String> = listens.map(|(kind, at)| format!("{kind}/{at}")).collect();
        self.serve(&listens.iter().map(String::as_str).collect::<Vec<_>>()).unwrap()
    }
}

fn join(site: &impl Site, link: &str, addresses: &[String]) {
    // Nobody is asked for on a link whose own address may be somebody else's yet, which takes seconds.
    let script = format!("echo 0 > /proc/sys/net/ipv6/conf/{link}/accept_dad");
    site.run("sh", ["-c", &script]).unwrap();
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
