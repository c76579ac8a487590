//! How Calico is configured: `FelixConfiguration` and `Installation`.

use std::collections::BTreeMap;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::nullable::nullable;

/// `FelixConfiguration`: `default` for all nodes, `node.<name>` for one. Which keys mean something is for whoever is
/// configured to say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FelixConfiguration {
    /// Settings by Calico's names.
    pub settings: BTreeMap<String, Value>,
}

/// `operator.tigera.io/v1 Installation`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Installation {
    /// `AKS`, `EKS`, …
    pub kubernetes_provider: Option<String>,
    /// The network.
    #[serde(deserialize_with = "nullable")]
    pub calico_network: CalicoNetwork,
}

/// What an `Installation` says about the network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CalicoNetwork {
    /// `BPF`, `Iptables`, `Nftables`, `VPP`.
    pub linux_dataplane: Option<String>,
    /// How a node finds its IPv4 address.
    #[serde(rename = "nodeAddressAutodetectionV4")]
    pub autodetection_v4: Option<Autodetection>,
    /// The same for IPv6.
    #[serde(rename = "nodeAddressAutodetectionV6")]
    pub autodetection_v6: Option<Autodetection>,
    /// What fits into a packet of a pod.
    pub mtu: Option<u32>,
    /// Addresses for pods.
    #[serde(deserialize_with = "nullable")]
    pub ip_pools: Vec<InstallationPool>,
}

/// How a node finds its address; one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Autodetection {
    /// The first one of an interface that is no bridge or tunnel.
    pub first_found: Option<bool>,
    /// `NodeInternalIP`.
    pub kubernetes: Option<String>,
    /// Of an interface whose name fits this expression.
    pub interface: Option<String>,
    /// Of one whose name does not.
    pub skip_interface: Option<String>,
    /// The one that packets to this address or name come from.
    pub can_reach: Option<String>,
    /// One in these networks.
    #[serde(deserialize_with = "nullable")]
    pub cidrs: Vec<IpNetwork>,
}

/// Addresses for pods as an `Installation` has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstallationPool {
    /// The addresses.
    pub cidr: IpNetwork,
    /// `IPIP`, `VXLAN`, `IPIPCrossSubnet`, `VXLANCrossSubnet`, `None`.
    pub encapsulation: Option<String>,
    /// `Enabled` or `Disabled`.
    pub nat_outgoing: Option<String>,
    /// The nodes whose pods get addresses from it.
    pub node_selector: Option<String>,
    /// The prefix length of what a node takes at a time.
    pub block_size: Option<u8>,
}
