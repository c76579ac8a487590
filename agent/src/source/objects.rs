//! Kubernetes objects as YAML has them, as far as they are read.

use std::{fmt, net::IpAddr};

use caracal_cni_plugin::bandwidth::{Bandwidth, Rate};
use ipnetwork::IpNetwork;
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

use self::prefixes::Prefixes;
use super::quantity;
use crate::model;

mod prefixes;

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

/// `v1 Pod`.
#[derive(Debug, Deserialize)]
pub struct Pod {
    pub metadata: PodMetadata,
}

#[derive(Debug, Deserialize)]
pub struct PodMetadata {
    pub annotations: Option<PodAnnotations>,
}

/// Limits in bits per second, as Kubernetes has them, and what Calico's users know.
#[derive(Debug, Default, Deserialize)]
pub struct PodAnnotations {
    #[serde(rename = "kubernetes.io/ingress-bandwidth")]
    pub ingress: Option<BitsPerSecond>,
    #[serde(rename = "kubernetes.io/egress-bandwidth")]
    pub egress: Option<BitsPerSecond>,
    #[serde(rename = "cni.projectcalico.org/allowedSourcePrefixes")]
    pub sources: Option<Prefixes>,
}

/// Who a pod is, also where something else about it is wrong.
#[derive(Debug, Deserialize)]
pub struct Named {
    pub metadata: Name,
}

#[derive(Debug, Deserialize)]
pub struct Name {
    #[serde(default = "default_namespace")]
    pub namespace: String,
    pub name: String,
}

fn default_namespace() -> String {
    "default".to_owned()
}

/// A limit that Kubernetes' API server takes.
#[derive(Clone, Copy, Debug)]
pub struct BitsPerSecond(u64);

impl BitsPerSecond {
    /// 1k.
    const LEAST: u64 = 1_000;
    /// 1P.
    const MOST: u64 = 1_000_000_000_000_000;
}

impl<'de> Deserialize<'de> for BitsPerSecond {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(QuantityVisitor)
    }
}

/// Errors of a visitor know the field and the line, those of what is made of its result do not.
struct QuantityVisitor;

impl Visitor<'_> for QuantityVisitor {
    type Value = BitsPerSecond;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a quantity such as 500k, 10M or 1.5Gi")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<BitsPerSecond, E> {
        match quantity::parse(text).map_err(E::custom)? {
            bits @ BitsPerSecond::LEAST..=BitsPerSecond::MOST => Ok(BitsPerSecond(bits)),
            _ => Err(E::custom(format!("{text:?} is not between 1k and 1P bits per second"))),
        }
    }
}

impl From<Pod> for model::Pod {
    fn from(pod: Pod) -> Self {
        let PodAnnotations { ingress, egress, sources } = pod.metadata.annotations.unwrap_or_default();
        let rate = |limit: BitsPerSecond| Rate { bits_per_second: limit.0, burst_bits: None };
        let bandwidth = Bandwidth { ingress: ingress.map(rate), egress: egress.map(rate) };
        Self { bandwidth, sources: sources.unwrap_or_default().0 }
    }
}

impl Name {
    /// What we call it.
    pub fn full(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

impl From<Node> for model::Node {
    fn from(node: Node) -> Self {
        let Node { metadata: _, spec, status } = node;
        // The list contains the single one wherever both are set.
        let pod_cidrs = if spec.pod_cidrs.is_empty() { spec.pod_cidr.into_iter().collect() } else { spec.pod_cidrs };
        let internal = status.addresses.iter().filter(|address| address.kind == "InternalIP");
        let internal_ips: Vec<IpAddr> = internal.filter_map(|address| address.address.parse().ok()).collect();
        Self { pod_cidrs, internal_ips }
    }
}
