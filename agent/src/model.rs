//! What the cluster says, as plain structs.

use std::{collections::BTreeMap, net::IpAddr};

use ipnetwork::IpNetwork;

/// A node of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// The addresses its pods have.
    pub pod_cidrs: Vec<IpNetwork>,
    /// Where other nodes reach it.
    pub internal_ips: Vec<IpAddr>,
}

/// Everything the agent knows about the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// Nodes by name.
    pub nodes: BTreeMap<String, Node>,
}
