//! What the cluster says, as plain structs with indexes.
//!
//! Sources tell changes; everybody else computes from what is here. A change costs what it touches, and one that says
//! what is known already touches nothing.

pub mod calico;
pub mod change;
mod either;
pub mod endpoints;
mod kind;
mod name;
mod node;
pub mod nullable;
mod pod;
pub mod policy;
mod protocol;
mod service;
mod slice;
mod standing;
mod stock;

use serde::Serialize;

use self::{
    calico::{CalicoPolicy, FelixConfiguration, HostEndpoint, Installation, IpPool, NetworkSet, Tier},
    policy::{ClusterNetworkPolicy, NetworkPolicy},
};
pub use self::{
    change::{Body, Change, Object, Origin},
    kind::Kind,
    name::{Labels, Name, Names, Text},
    node::{Namespace, Node},
    pod::{Limits, NamedPort, Pod, Pods, Sources, Wishes},
    protocol::Protocol,
    service::{Service, ServiceCidr, ServicePort, ServiceType, Target},
    slice::{Endpoint, EndpointSlice, Hints, SlicePort, Slices},
    standing::Standing,
    stock::Stock,
};

/// Everything the agent knows about the cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Model {
    /// How much is known.
    pub standing: Standing,
    /// Nodes.
    pub nodes: Stock<Node>,
    /// Namespaces.
    pub namespaces: Stock<Namespace>,
    /// Pods.
    pub pods: Pods,
    /// Services.
    pub services: Stock<Service>,
    /// Their endpoints.
    pub slices: Slices,
    /// Addresses that services may have.
    pub service_cidrs: Stock<ServiceCidr>,
    /// Policies of namespaces.
    pub network_policies: Stock<NetworkPolicy>,
    /// Policies before and after those.
    pub cluster_policies: Stock<ClusterNetworkPolicy>,
    /// Calico's tiers.
    pub tiers: Stock<Tier>,
    /// Calico's policies of namespaces.
    pub calico_policies: Stock<CalicoPolicy>,
    /// Calico's policies of the cluster.
    pub global_policies: Stock<CalicoPolicy>,
    /// Addresses that policies of a namespace may mean.
    pub network_sets: Stock<NetworkSet>,
    /// Addresses that all policies of Calico may mean.
    pub global_sets: Stock<NetworkSet>,
    /// Interfaces of nodes that policies are about.
    pub host_endpoints: Stock<HostEndpoint>,
    /// Addresses for pods.
    pub pools: Stock<IpPool>,
    /// Calico's configuration of nodes.
    pub felix: Stock<FelixConfiguration>,
    /// Calico's configuration of the cluster.
    pub installations: Stock<Installation>,
}

/// An object that is not as it was. Endpoint slices are told as the service that they belong to.
pub type Touched = (Kind, Name);

impl Model {
    /// Applies a change. What is returned has changed, or is gone.
    pub fn apply(&mut self, change: Change) -> Vec<Touched> {
        match change {
            Change::Begin(kind) => self.standing.begin(kind),
            Change::Put(object) => {
                self.standing.seen(object.kind(), &object.name);
                self.standing.read(&Origin::Object(object.kind(), object.name.clone()));
                return self.put(object);
            }
            Change::Gone(kind, name) => {
                self.standing.read(&Origin::Object(kind, name.clone()));
                return self.remove(kind, &name);
            }
            Change::Whole(kind) => {
                let Some(seen) = self.standing.whole(kind) else { return Vec::new() };
                let gone: Vec<Name> = self.names(kind).filter(|name| !seen.contains(name)).cloned().collect();
                return gone.iter().flat_map(|name| self.remove(kind, name)).collect();
            }
            Change::Unread(origin, error) => self.standing.unreadable(origin, error),
            Change::Read(origin) => self.standing.read(&origin),
        }
        Vec::new()
    }

    fn put(&mut self, Object { name, body }: Object) -> Vec<Touched> {
        let kind = body.kind();
        let has_changed = match &body {
            Body::EndpointSlice(slice) => {
                return self.slices.put(&name, slice).into_iter().map(|service| (Kind::Service, service)).collect();
            }
            Body::Pod(pod) => self.pods.put(&name, pod),
            Body::Node(body) => self.nodes.put(&name, body).has_changed(),
            Body::Namespace(body) => self.namespaces.put(&name, body).has_changed(),
            Body::Service(body) => self.services.put(&name, body).has_changed(),
            Body::ServiceCidr(body) => self.service_cidrs.put(&name, body).has_changed(),
            Body::NetworkPolicy(body) => self.network_policies.put(&name, body).has_changed(),
            Body::ClusterNetworkPolicy(body) => self.cluster_policies.put(&name, body).has_changed(),
            Body::Tier(body) => self.tiers.put(&name, body).has_changed(),
            Body::CalicoNetworkPolicy(body) => self.calico_policies.put(&name, body).has_changed(),
            Body::GlobalNetworkPolicy(body) => self.global_policies.put(&name, body).has_changed(),
            Body::NetworkSet(body) => self.network_sets.put(&name, body).has_changed(),
            Body::GlobalNetworkSet(body) => self.global_sets.put(&name, body).has_changed(),
            Body::HostEndpoint(body) => self.host_endpoints.put(&name, body).has_changed(),
            Body::IpPool(body) => self.pools.put(&name, body).has_changed(),
            Body::FelixConfiguration(body) => self.felix.put(&name, body).has_changed(),
            Body::Installation(body) => self.installations.put(&name, body).has_changed(),
        };
        if has_changed { vec![(kind, name)] } else { Vec::new() }
    }

    fn remove(&mut self, kind: Kind, name: &Name) -> Vec<Touched> {
        let was_there = match kind {
            Kind::EndpointSlice => {
                return self.slices.remove(name).into_iter().map(|service| (Kind::Service, service)).collect();
            }
            Kind::Pod => self.pods.remove(name),
            Kind::Node => self.nodes.remove(name).is_some(),
            Kind::Namespace => self.namespaces.remove(name).is_some(),
            Kind::Service => self.services.remove(name).is_some(),
            Kind::ServiceCidr => self.service_cidrs.remove(name).is_some(),
            Kind::NetworkPolicy => self.network_policies.remove(name).is_some(),
            Kind::ClusterNetworkPolicy => self.cluster_policies.remove(name).is_some(),
            Kind::Tier => self.tiers.remove(name).is_some(),
            Kind::CalicoNetworkPolicy => self.calico_policies.remove(name).is_some(),
            Kind::GlobalNetworkPolicy => self.global_policies.remove(name).is_some(),
            Kind::NetworkSet => self.network_sets.remove(name).is_some(),
            Kind::GlobalNetworkSet => self.global_sets.remove(name).is_some(),
            Kind::HostEndpoint => self.host_endpoints.remove(name).is_some(),
            Kind::IpPool => self.pools.remove(name).is_some(),
            Kind::FelixConfiguration => self.felix.remove(name).is_some(),
            Kind::Installation => self.installations.remove(name).is_some(),
        };
        if was_there { vec![(kind, name.clone())] } else { Vec::new() }
    }

    /// How many objects of a kind there are.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        // Tables know that without being gone through.
        self.names(kind).size_hint().0
    }

    fn names(&self, kind: Kind) -> Box<dyn Iterator<Item = &Name> + '_> {
        match kind {
            Kind::EndpointSlice => Box::new(self.slices.by_name().names()),
            Kind::Pod => Box::new(self.pods.by_name().names()),
            Kind::Node => Box::new(self.nodes.names()),
            Kind::Namespace => Box::new(self.namespaces.names()),
            Kind::Service => Box::new(self.services.names()),
            Kind::ServiceCidr => Box::new(self.service_cidrs.names()),
            Kind::NetworkPolicy => Box::new(self.network_policies.names()),
            Kind::ClusterNetworkPolicy => Box::new(self.cluster_policies.names()),
            Kind::Tier => Box::new(self.tiers.names()),
            Kind::CalicoNetworkPolicy => Box::new(self.calico_policies.names()),
            Kind::GlobalNetworkPolicy => Box::new(self.global_policies.names()),
            Kind::NetworkSet => Box::new(self.network_sets.names()),
            Kind::GlobalNetworkSet => Box::new(self.global_sets.names()),
            Kind::HostEndpoint => Box::new(self.host_endpoints.names()),
            Kind::IpPool => Box::new(self.pools.names()),
            Kind::FelixConfiguration => Box::new(self.felix.names()),
            Kind::Installation => Box::new(self.installations.names()),
        }
    }
}

#[cfg(test)]
mod tests;
