//! `v1 Node` and `v1 Namespace`.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, de::IgnoredAny};

use super::{Metadata, Read, Unknown};
use crate::model::{self, Body, Kind, Names, nullable::nullable};

/// The label that says where a node is.
const ZONE: &str = "topology.kubernetes.io/zone";
/// The label by which namespaces say what they are called.
const OWN_NAME: &str = "kubernetes.io/metadata.name";
/// The taint of a node that the autoscaler is about to remove.
const LEAVING: &str = "ToBeDeletedByClusterAutoscaler";

#[derive(Debug, Deserialize)]
pub struct Node {
    metadata: Metadata<IgnoredAny>,
    #[serde(default, deserialize_with = "nullable")]
    spec: NodeSpec,
    #[serde(default, deserialize_with = "nullable")]
    status: NodeStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NodeSpec {
    #[serde(rename = "podCIDR", deserialize_with = "nullable")]
    pod_cidr: Option<IpNetwork>,
    #[serde(rename = "podCIDRs", deserialize_with = "nullable")]
    pod_cidrs: Vec<IpNetwork>,
    #[serde(deserialize_with = "nullable")]
    taints: Vec<Taint>,
}

#[derive(Debug, Deserialize)]
struct Taint {
    key: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NodeStatus {
    #[serde(deserialize_with = "nullable")]
    addresses: Vec<NodeAddress>,
}

#[derive(Debug, Deserialize)]
struct NodeAddress {
    #[serde(rename = "type")]
    kind: String,
    /// A host name for some types.
    address: String,
}

impl Read<'_> for Node {
    type Annotations = IgnoredAny;

    fn metadata(&self) -> &Metadata<IgnoredAny> {
        &self.metadata
    }

    fn body(self, _: Kind, names: &mut Names, _: Unknown) -> Body {
        let Self { metadata, spec, status } = self;
        // The list contains the single one wherever both are set.
        let pod_cidrs = if spec.pod_cidrs.is_empty() { spec.pod_cidr.into_iter().collect() } else { spec.pod_cidrs };
        let addresses = |kind: &str| -> Vec<IpAddr> {
            let of_kind = status.addresses.iter().filter(|address| address.kind == kind);
            of_kind.filter_map(|address| address.address.parse().ok()).collect()
        };
        let is_leaving = metadata.deletion_timestamp.is_some() || spec.taints.iter().any(|taint| taint.key == LEAVING);
        let node = model::Node {
            labels: names.labels(&metadata.labels),
            pod_cidrs,
            internal_ips: addresses("InternalIP"),
            external_ips: addresses("ExternalIP"),
            zone: metadata.labels.get(ZONE).map(|zone| names.text(zone)),
            is_leaving,
        };
        Body::Node(node.into())
    }
}

#[derive(Debug, Deserialize)]
pub struct Namespace {
    metadata: Metadata<IgnoredAny>,
}

impl Read<'_> for Namespace {
    type Annotations = IgnoredAny;

    fn metadata(&self) -> &Metadata<IgnoredAny> {
        &self.metadata
    }

    fn body(self, _: Kind, names: &mut Names, _: Unknown) -> Body {
        let name = self.metadata.plain_name().to_owned();
        let mut labels = self.metadata.labels;
        // An API server sees to it that policies find namespaces by their names; files need not say it.
        labels.entry(OWN_NAME.to_owned()).or_insert(name);
        Body::Namespace(model::Namespace { labels: names.labels(&labels) }.into())
    }
}
