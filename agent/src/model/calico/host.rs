//! `HostEndpoint`, and the sets of networks.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use super::ProtocolSpec;
use crate::model::{Labels, nullable::nullable};

/// Interfaces of a node that policies are about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HostEndpoint {
    /// What selectors see.
    #[serde(skip_deserializing)]
    pub labels: Labels,
    /// The node.
    #[serde(deserialize_with = "nullable")]
    pub node: String,
    /// The interface, or `*` for all.
    #[serde(deserialize_with = "nullable")]
    pub interface_name: String,
    /// Or the one that has one of these addresses.
    #[serde(rename = "expectedIPs", deserialize_with = "nullable")]
    pub expected_ips: Vec<IpAddr>,
    /// What becomes of what no policy is about.
    #[serde(deserialize_with = "nullable")]
    pub profiles: Vec<String>,
    /// Ports that have a name.
    #[serde(deserialize_with = "nullable")]
    pub ports: Vec<HostPort>,
}

/// A port of a node that has a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPort {
    /// Its name.
    pub name: String,
    /// With which protocol.
    pub protocol: ProtocolSpec,
    /// Its number.
    pub port: u16,
}

/// `NetworkSet` and `GlobalNetworkSet`: addresses that selectors see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkSet {
    /// What selectors see.
    #[serde(skip_deserializing)]
    pub labels: Labels,
    /// The addresses.
    #[serde(deserialize_with = "nullable")]
    pub nets: Box<[IpNetwork]>,
}
