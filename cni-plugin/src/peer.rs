//! The host's side of an interface that another plugin made, found from inside the pod.
//!
//! Names lie: vendors derive them from the pod's, and a recreated pod has its predecessor's. Previous results lie as
//! well, or say nothing. The kernel does not: it knows which two links are a pair, and each end says where the other
//! is. Both are asked, because a number means something only in its namespace.

use std::net::IpAddr;

use caracal_datapath::abi::Mac;

use crate::{
    Error,
    netlink::{Link, Socket, VETH, global_addresses_of, link_by_index, link_by_name, nsid_of},
    netns::Netns,
};

/// Both ends of a pod's interface, and the pod's addresses on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The host's end.
    pub host: Link,
    /// The pod's end.
    pub pod: Link,
    /// Hardware address of the host's end.
    pub host_mac: Mac,
    /// Hardware address of the pod's end.
    pub pod_mac: Mac,
    /// At least one.
    pub addresses: Vec<IpAddr>,
}

/// Why an interface has no side on the host that programs could be attached to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsuitable {
    /// It is not there.
    #[error("CNI_IFNAME: the container has no interface {0}; the plugin before caracal must make it")]
    Missing(String),
    /// It is of a kind that does not come in pairs.
    #[error(
        "CNI_IFNAME: interface {ifname} of the container is {}, not a veth; caracal can only be chained to plugins \
         that make a veth", if kind.is_empty() { "a device" } else { kind }
    )]
    NotVeth {
        /// The interface.
        ifname: String,
        /// What it is.
        kind: String,
    },
    /// The other end is in a third namespace, or in the pod itself.
    #[error("CNI_IFNAME: the other end of interface {0} is not in the network namespace of the host")]
    Elsewhere(String),
    /// Nobody can send to it.
    #[error("CNI_IFNAME: interface {0} has no address")]
    NoAddress(String),
}

/// Looks for the pair of the pod's interface `ifname`.
pub fn find(netns: &Netns, ifname: &str) -> Result<Result<Pair, Unsuitable>, Error> {
    let own = Netns::own()?;
    let mut inside = netns.run(Socket::open)??;
    let Some(pod) = link_by_name(&mut inside, ifname)? else {
        return Ok(Err(Unsuitable::Missing(ifname.to_owned())));
    };
    if pod.kind != VETH {
        return Ok(Err(Unsuitable::NotVeth { ifname: ifname.to_owned(), kind: pod.kind }));
    }
    let elsewhere = Ok(Err(Unsuitable::Elsewhere(ifname.to_owned())));
    let (Some(peer), Some(nsid)) = (pod.peer, pod.peer_nsid) else { return elsewhere };
    if nsid_of(&mut inside, &own)? != Some(nsid) {
        return elsewhere;
    }
    let mut outside = Socket::open()?;
    let Some(host) = link_by_index(&mut outside, peer)? else { return elsewhere };
    // Asked for only now: reading the link is what makes the kernel give its other end's namespace a number.
    let back = nsid_of(&mut outside, netns)?;
    if host.kind != VETH || host.peer != Some(pod.index) || back.is_none() || host.peer_nsid != back {
        return elsewhere;
    }
    let addresses = global_addresses_of(&mut inside, pod.index)?;
    if addresses.is_empty() {
        return Ok(Err(Unsuitable::NoAddress(ifname.to_owned())));
    }
    let (Some(host_mac), Some(pod_mac)) = (host.mac, pod.mac) else { return elsewhere };
    Ok(Ok(Pair { host, pod, host_mac, pod_mac, addresses }))
}

impl Pair {
    /// The addresses as `previous` orders them, then those it does not know. What only `previous` knows is not there.
    #[must_use]
    pub fn addresses_like(&self, previous: &[IpAddr]) -> Vec<IpAddr> {
        let mut ordered: Vec<IpAddr> = Vec::with_capacity(self.addresses.len());
        let known = previous.iter().filter(|ip| self.addresses.contains(ip));
        for ip in known.chain(&self.addresses) {
            if !ordered.contains(ip) {
                ordered.push(*ip);
            }
        }
        ordered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(addresses: &[&str]) -> Pair {
        let link = Link {
            index: 2,
            name: String::new(),
            kind: VETH.to_owned(),
            mac: None,
            mtu: 1500,
            peer: None,
            peer_nsid: None,
            is_up: true,
            is_operational: true,
        };
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        Pair { host: link.clone(), pod: link, host_mac: mac, pod_mac: mac, addresses: ips(addresses) }
    }

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_interface_says_which_addresses_and_the_result_in_which_order() {
        let pair = pair(&["10.0.0.2", "10.0.0.3", "fd00::2"]);
        let ordered = |previous: &[&str]| pair.addresses_like(&ips(previous));
        assert_eq!(ordered(&[]), ips(&["10.0.0.2", "10.0.0.3", "fd00::2"]));
        assert_eq!(ordered(&["fd00::2", "10.0.0.3"]), ips(&["fd00::2", "10.0.0.3", "10.0.0.2"]));
        assert_eq!(ordered(&["10.9.9.9", "10.0.0.3", "10.0.0.3"]), ips(&["10.0.0.3", "10.0.0.2", "fd00::2"]));
    }

    #[test]
    fn what_is_unsuitable_is_said_in_words() {
        let not_veth =
            |kind: &str| Unsuitable::NotVeth { ifname: "eth0".to_owned(), kind: kind.to_owned() }.to_string();
        assert!(not_veth("macvlan").starts_with("CNI_IFNAME: interface eth0 of the container is macvlan, not a veth"));
        assert!(not_veth("").starts_with("CNI_IFNAME: interface eth0 of the container is a device, not a veth"));
    }
}
