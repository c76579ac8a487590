//! Policies of Kubernetes, as they are written.
//!
//! What a policy says that is not known here is kept by its path in `unknown`, so that whoever enforces it can rather
//! forbid too much than allow what was not meant.

mod cluster;
mod network;
mod selector;

use serde::Serialize;

pub use self::{
    cluster::{
        ClusterAction, ClusterEgress, ClusterEgressPeer, ClusterIngress, ClusterIngressPeer, ClusterPolicySpec,
        ClusterProtocol, ClusterTier, DestinationPort, NamespacedPods, PortOfProtocol, PortRange, Subject,
    },
    network::{Direction, EgressRule, IngressRule, IpBlock, NetworkPolicySpec, Peer, PolicyPort, PortOrName},
    selector::{Operator, Requirement, Selector},
};

/// A policy, and what of it is not known.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Policy<S> {
    /// What is known.
    pub spec: S,
    /// Where the rest is, such as `spec.ingress.0.from.1.domainNames`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

/// `networking.k8s.io/v1 NetworkPolicy`.
pub type NetworkPolicy = Policy<NetworkPolicySpec>;

/// `policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy`.
pub type ClusterNetworkPolicy = Policy<ClusterPolicySpec>;
