//! `ClusterNetworkPolicy`.

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use super::Selector;
use crate::model::nullable::nullable;

/// What a `ClusterNetworkPolicy` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterPolicySpec {
    /// Before or after policies of namespaces.
    pub tier: ClusterTier,
    /// Of several of a tier, the lower comes first: 0 to 1000.
    pub priority: u16,
    /// Whom it is about.
    pub subject: Subject,
    /// What reaches them, the first that fits decides.
    #[serde(default, deserialize_with = "nullable")]
    pub ingress: Vec<ClusterIngress>,
    /// What they reach.
    #[serde(default, deserialize_with = "nullable")]
    pub egress: Vec<ClusterEgress>,
}

/// Before or after policies of namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the API's")]
pub enum ClusterTier {
    Admin,
    Baseline,
}

/// What becomes of what fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the API's")]
pub enum ClusterAction {
    Accept,
    Deny,
    Pass,
}

/// Whom a policy is about; who says nothing means nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Subject {
    /// All pods of these namespaces.
    pub namespaces: Option<Selector>,
    /// These pods.
    pub pods: Option<NamespacedPods>,
}

/// Pods in namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NamespacedPods {
    /// The namespaces.
    #[serde(deserialize_with = "nullable")]
    pub namespace_selector: Selector,
    /// The pods in them.
    #[serde(deserialize_with = "nullable")]
    pub pod_selector: Selector,
}

/// What reaches the subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterIngress {
    /// For people.
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
    /// What becomes of it.
    pub action: ClusterAction,
    /// From whom.
    #[serde(default, deserialize_with = "nullable")]
    pub from: Vec<ClusterIngressPeer>,
    /// By which protocols; none: all.
    #[serde(default, deserialize_with = "nullable")]
    pub protocols: Vec<ClusterProtocol>,
}

/// What the subject reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterEgress {
    /// For people.
    #[serde(default, deserialize_with = "nullable")]
    pub name: String,
    /// What becomes of it.
    pub action: ClusterAction,
    /// To whom.
    #[serde(default, deserialize_with = "nullable")]
    pub to: Vec<ClusterEgressPeer>,
    /// By which protocols; none: all.
    #[serde(default, deserialize_with = "nullable")]
    pub protocols: Vec<ClusterProtocol>,
}

/// Somebody who reaches the subject; who says nothing is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterIngressPeer {
    /// All pods of these namespaces.
    pub namespaces: Option<Selector>,
    /// These pods.
    pub pods: Option<NamespacedPods>,
}

/// Somebody whom the subject reaches; who says nothing is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterEgressPeer {
    /// All pods of these namespaces.
    pub namespaces: Option<Selector>,
    /// These pods.
    pub pods: Option<NamespacedPods>,
    /// These nodes.
    pub nodes: Option<Selector>,
    /// These addresses.
    #[serde(deserialize_with = "nullable")]
    pub networks: Vec<IpNetwork>,
    /// Whatever these names stand for.
    #[serde(deserialize_with = "nullable")]
    pub domain_names: Vec<String>,
}

/// A protocol, and its ports; who says nothing is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterProtocol {
    /// TCP.
    pub tcp: Option<PortOfProtocol>,
    /// UDP.
    pub udp: Option<PortOfProtocol>,
    /// SCTP.
    pub sctp: Option<PortOfProtocol>,
    /// The port that pods call so, of any protocol.
    pub destination_named_port: Option<String>,
}

/// Where to, by a protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PortOfProtocol {
    /// None: all.
    pub destination_port: Option<DestinationPort>,
}

/// One port or several; who says nothing is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DestinationPort {
    /// One.
    pub number: Option<u16>,
    /// Several.
    pub range: Option<PortRange>,
}

/// Several ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRange {
    /// The first.
    pub start: u16,
    /// The last.
    pub end: u16,
}
