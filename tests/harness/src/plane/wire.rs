//! Pods, NICs and networks that a node knows, in its maps and in its network namespace.

use std::net::IpAddr;

use aya::maps::{
    Map, MapData,
    lpm_trie::{Key, LpmTrie},
};
use caracal_abi::{Nic as NicValue, Peer, map};
use caracal_datapath::Table;

use super::Plane;
use crate::{Nic, Pod};

impl Plane {
    /// Makes a pod known that exists only in the maps.
    pub fn add(&self, pod: &Pod) {
        self.pinned.set_endpoint(pod.ip, &pod.endpoint()).expect("write an endpoint");
    }

    /// Makes a pod known, with an interface, so that packets can come from there.
    pub fn wire(&self, pod: &Pod) {
        self.net.add_pod(pod);
        self.add(pod);
    }

    /// Makes the node's NICs, tells it their addresses, and lets it forward. What is masqueraded has the first address of its
    /// family.
    pub fn wire_nics(&self, nics: &[&Nic]) {
        self.net.forward(true);
        let mut known = Table::<u32, NicValue>::open(&self.root.map(map::NICS)).expect("open the NICs");
        for nic in nics {
            self.net.add_nic(nic);
            known.set(&nic.ifindex, &value(nic)).expect("write a NIC");
        }
        let addresses: Vec<_> = nics.iter().flat_map(|nic| nic.ips()).collect();
        self.pinned.set_node_addresses(&addresses).expect("write the node's addresses");
    }

    /// Says that a network knows the way to pods, such as `10.0.0.0/8`: what pods send there is not masqueraded.
    pub fn inside(&self, network: &str) {
        let (ip, prefix) = network.split_once('/').expect("a network has a prefix length, such as 10.0.0.0/8");
        let prefix = prefix.parse().expect("a prefix length");
        match ip.parse().expect("a network's address") {
            IpAddr::V4(ip) => self.set_inside(map::PEERS4, &Key::new(prefix, ip.octets())),
            IpAddr::V6(ip) => self.set_inside(map::PEERS6, &Key::new(prefix, ip.octets())),
        }
    }

    fn set_inside<A: aya::Pod>(&self, name: &str, key: &Key<A>) {
        let pinned = Map::LpmTrie(MapData::from_pin(self.root.map(name)).expect("open the peers"));
        let mut peers: LpmTrie<_, A, Peer> = pinned.try_into().expect("peers are prefixes");
        peers.insert(key, &Peer { flags: Peer::INSIDE }, 0).expect("write a peer");
    }
}

/// What the programs know of a NIC.
fn value(nic: &Nic) -> NicValue {
    let mut value = NicValue::default();
    // The first of each family is written last.
    for ip in nic.ips().collect::<Vec<_>>().into_iter().rev() {
        match ip {
            IpAddr::V4(ip) => value.source4 = ip.into(),
            IpAddr::V6(ip) => value.source6 = ip.into(),
        }
    }
    value
}
