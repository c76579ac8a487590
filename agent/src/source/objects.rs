//! Kubernetes objects as YAML has them, as far as they are read.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::Deserialize;

/// What every object begins with.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    pub api_version: String,
    pub kind: String,
}

/// `v1 Node`.
#[derive(Debug, Deserialize)]
pub struct Node {
    pub metadata: Metadata,
    #[serde(default)]
    pub spec: NodeSpec,
    #[serde(default)]
    pub status: NodeStatus,
}

#[derive(Debug, Deserialize)]
pub struct Metadata {
    pub name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeSpec {
    #[serde(rename = "podCIDR")]
    pub pod_cidr: Option<IpNetwork>,
    #[serde(rename = "podCIDRs")]
    pub pod_cidrs: Vec<IpNetwork>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeStatus {
    pub addresses: Vec<NodeAddress>,
}

#[derive(Debug, Deserialize)]
pub struct NodeAddress {
    #[serde(rename = "type")]
    pub kind: String,
    /// A host name for some types.
    pub address: String,
}

impl From<Node> for crate::model::Node {
    fn from(node: Node) -> Self {
        let Node { metadata: _, spec, status } = node;
        // The list contains the single one wherever both are set.
        let pod_cidrs = if spec.pod_cidrs.is_empty() { spec.pod_cidr.into_iter().collect() } else { spec.pod_cidrs };
        let internal = status.addresses.iter().filter(|address| address.kind == "InternalIP");
        let internal_ips: Vec<IpAddr> = internal.filter_map(|address| address.address.parse().ok()).collect();
        Self { pod_cidrs, internal_ips }
    }
}
