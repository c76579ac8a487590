//! Pods, by name and by address.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use caracal_cni_plugin::bandwidth::Bandwidth;
use ipnetwork::IpNetwork;
use serde::Serialize;

use super::{Labels, Name, Protocol, Stock, Text, stock::Put};

/// A pod of any node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pod {
    /// Where it runs; none before that is decided.
    pub node: Option<Text>,
    /// Its addresses.
    pub addresses: Box<[IpAddr]>,
    /// What selectors see.
    pub labels: Labels,
    /// Whom it runs as.
    pub service_account: Option<Text>,
    /// Ports of its containers that have a name.
    pub ports: Arc<[NamedPort]>,
    /// Its addresses are the node's.
    pub host_network: bool,
    /// It has run to its end, and its addresses may be somebody else's.
    pub has_ended: bool,
    /// It is being removed.
    pub is_terminating: bool,
    /// Whether it answers; none if nobody says.
    pub is_ready: Option<bool>,
    /// What its annotations ask for.
    pub wishes: Option<Box<Wishes>>,
}

impl Pod {
    /// Whether its addresses stand for it and nobody else.
    #[must_use]
    pub fn owns_addresses(&self) -> bool {
        !self.host_network && !self.has_ended
    }
}

/// A port of a container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct NamedPort {
    /// Its name.
    pub name: Text,
    /// With which protocol.
    pub protocol: Protocol,
    /// Its number.
    pub port: u16,
}

/// What a pod's annotations ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Wishes {
    /// How fast it may send and receive.
    pub bandwidth: Bandwidth,
    /// Where it may send from besides its own addresses.
    pub sources: BTreeSet<IpNetwork>,
}

/// Limits of pods by `namespace/name`; one that has none is left out.
pub type Limits = BTreeMap<String, Bandwidth>;

/// Where pods may send from besides their own addresses, by `namespace/name`; one that has nothing of the kind is left out.
pub type Sources = BTreeMap<String, BTreeSet<IpNetwork>>;

/// All pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Pods {
    by_name: Stock<Pod>,
    #[serde(skip)]
    by_address: BTreeSet<(IpAddr, Name)>,
    #[serde(skip)]
    limits: Limits,
    #[serde(skip)]
    sources: Sources,
}

impl Pods {
    /// By name and by namespace.
    #[must_use]
    pub fn by_name(&self) -> &Stock<Pod> {
        &self.by_name
    }

    /// Those whose address it is: several while one is going and the next is there already.
    pub fn by_address(&self, address: IpAddr) -> impl Iterator<Item = (&Name, &Arc<Pod>)> {
        let names = self.by_address.range((address, Name::default())..).take_while(move |(other, _)| *other == address);
        names.filter_map(|(_, name)| self.by_name.get(name).map(|pod| (name, pod)))
    }

    /// How fast they may send and receive, on whichever node they are.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Where they may send from.
    #[must_use]
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// True if this changed anything.
    pub(super) fn put(&mut self, name: &Name, pod: &Arc<Pod>) -> bool {
        let Put::Changed(before) = self.by_name.put(name, pod) else { return false };
        if let Some(before) = before {
            self.forget(name, &before);
        }
        if pod.owns_addresses() {
            self.by_address.extend(pod.addresses.iter().map(|address| (*address, name.clone())));
        }
        if let Some(Wishes { bandwidth, sources }) = pod.wishes.as_deref() {
            if !bandwidth.is_unlimited() {
                self.limits.insert(name.to_string(), *bandwidth);
            }
            if !sources.is_empty() {
                self.sources.insert(name.to_string(), sources.clone());
            }
        }
        true
    }

    /// True if it was there.
    pub(super) fn remove(&mut self, name: &Name) -> bool {
        let before = self.by_name.remove(name);
        if let Some(before) = &before {
            self.forget(name, before);
        }
        before.is_some()
    }

    fn forget(&mut self, name: &Name, before: &Pod) {
        for address in &before.addresses {
            self.by_address.remove(&(*address, name.clone()));
        }
        if before.wishes.is_some() {
            self.limits.remove(&name.to_string());
            self.sources.remove(&name.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(addresses: &[&str]) -> Pod {
        Pod { addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(), ..Pod::default() }
    }

    fn at(pods: &Pods, address: &str) -> Vec<String> {
        pods.by_address(address.parse().unwrap()).map(|(name, _)| name.to_string()).collect()
    }

    #[test]
    fn an_address_leads_to_the_pods_that_have_it_now() {
        let mut pods = Pods::default();
        let (old, new) = (Name::new("shop", "old"), Name::new("shop", "new"));
        assert!(pods.put(&old, &pod(&["10.1.0.1", "fd00::1"]).into()));
        assert!(!pods.put(&old, &pod(&["10.1.0.1", "fd00::1"]).into()), "it says the same");
        assert!(pods.put(&new, &pod(&["10.1.0.1"]).into()));
        assert_eq!(at(&pods, "10.1.0.1"), ["shop/new", "shop/old"]);
        assert_eq!(at(&pods, "10.1.0.2"), [""; 0]);
        pods.put(&old, &pod(&["10.1.0.2"]).into());
        assert_eq!(at(&pods, "10.1.0.1"), ["shop/new"]);
        assert_eq!(at(&pods, "fd00::1"), [""; 0]);
        assert!(pods.remove(&new) && !pods.remove(&new));
        assert_eq!(at(&pods, "10.1.0.1"), [""; 0]);
        assert_eq!(at(&pods, "10.1.0.2"), ["shop/old"]);
    }

    #[test]
    fn addresses_of_the_host_and_of_pods_that_have_ended_lead_nowhere() {
        let mut pods = Pods::default();
        let host = Pod { host_network: true, ..pod(&["192.0.2.1"]) };
        let ended = Pod { has_ended: true, ..pod(&["10.1.0.1"]) };
        pods.put(&Name::new("shop", "host"), &host.into());
        pods.put(&Name::new("shop", "job"), &ended.into());
        assert_eq!(at(&pods, "192.0.2.1"), [""; 0]);
        assert_eq!(at(&pods, "10.1.0.1"), [""; 0]);
    }
}
