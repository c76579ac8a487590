//! `IPPool`.

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::model::nullable::nullable;

/// Addresses for pods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IpPool {
    /// The addresses.
    pub cidr: IpNetwork,
    /// What other nodes' pods are reached through.
    #[serde(default, deserialize_with = "nullable")]
    pub vxlan_mode: Encapsulation,
    /// The same.
    #[serde(default, deserialize_with = "nullable")]
    pub ipip_mode: Encapsulation,
    /// What leaves for elsewhere gets the node's address.
    #[serde(default, deserialize_with = "nullable")]
    pub nat_outgoing: bool,
    /// No new pods get addresses from it.
    #[serde(default, deserialize_with = "nullable")]
    pub disabled: bool,
    /// The nodes whose pods get addresses from it.
    #[serde(default, deserialize_with = "nullable")]
    pub node_selector: String,
    /// The namespaces whose pods do.
    #[serde(default, deserialize_with = "nullable")]
    pub namespace_selector: String,
    /// The prefix length of what a node takes at a time.
    pub block_size: Option<u8>,
    /// `Workload`, `Tunnel`, `LoadBalancer`; none: the first two.
    #[serde(default, deserialize_with = "nullable")]
    pub allowed_uses: Vec<String>,
    /// `Automatic`, or `Manual` where only who asks gets from it.
    pub assignment_mode: Option<String>,
}

/// When packets to other nodes' pods travel in others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are Calico's")]
pub enum Encapsulation {
    #[default]
    Never,
    Always,
    CrossSubnet,
}
