//! `NetworkPolicy`.

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use super::Selector;
use crate::model::{Protocol, nullable::nullable};

/// What a `NetworkPolicy` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkPolicySpec {
    /// The pods of its namespace that it is about.
    #[serde(deserialize_with = "nullable")]
    pub pod_selector: Selector,
    /// In which directions they are isolated.
    #[serde(deserialize_with = "nullable")]
    pub policy_types: Vec<Direction>,
    /// Who may reach them.
    #[serde(deserialize_with = "nullable")]
    pub ingress: Vec<IngressRule>,
    /// Whom they may reach.
    #[serde(deserialize_with = "nullable")]
    pub egress: Vec<EgressRule>,
}

/// A direction, as the pod sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "Kubernetes' names say it")]
pub enum Direction {
    Ingress,
    Egress,
}

/// Who may reach which ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IngressRule {
    /// Who; none: everybody.
    #[serde(deserialize_with = "nullable")]
    pub from: Vec<Peer>,
    /// Which; none: all.
    #[serde(deserialize_with = "nullable")]
    pub ports: Vec<PolicyPort>,
}

/// Who may be reached by which ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EgressRule {
    /// Who; none: everybody.
    #[serde(deserialize_with = "nullable")]
    pub to: Vec<Peer>,
    /// Which; none: all.
    #[serde(deserialize_with = "nullable")]
    pub ports: Vec<PolicyPort>,
}

/// Somebody; who says nothing means nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Peer {
    /// Pods.
    pub pod_selector: Option<Selector>,
    /// In these namespaces; none: in the policy's own.
    pub namespace_selector: Option<Selector>,
    /// Addresses.
    pub ip_block: Option<IpBlock>,
}

/// Addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpBlock {
    /// These…
    pub cidr: IpNetwork,
    /// …but not these.
    #[serde(default, deserialize_with = "nullable")]
    pub except: Vec<IpNetwork>,
}

/// Ports of a protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyPort {
    /// The protocol.
    #[serde(deserialize_with = "nullable")]
    pub protocol: Protocol,
    /// The port; none: all.
    pub port: Option<PortOrName>,
    /// The last of several.
    pub end_port: Option<u16>,
}

/// A port by number, or as the pod calls it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "it is said above")]
pub enum PortOrName {
    Number(u16),
    Name(String),
}
