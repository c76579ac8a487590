//! Nodes and namespaces.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::Serialize;

use super::{Labels, Text};

/// A node of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Node {
    /// What selectors see.
    pub labels: Labels,
    /// The addresses its pods have.
    pub pod_cidrs: Vec<IpNetwork>,
    /// Where other nodes reach it.
    pub internal_ips: Vec<IpAddr>,
    /// Where the world reaches it.
    pub external_ips: Vec<IpAddr>,
    /// Its zone, for the choice of near endpoints.
    pub zone: Option<Text>,
    /// It is about to go: balancers outside are to leave it alone.
    pub is_leaving: bool,
}

/// A namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Namespace {
    /// What selectors see.
    pub labels: Labels,
}
