//! What the cluster says, as plain structs.

use std::{collections::BTreeMap, net::IpAddr};

use caracal_cni_plugin::bandwidth::Bandwidth;
use ipnetwork::IpNetwork;

/// A node of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// The addresses its pods have.
    pub pod_cidrs: Vec<IpNetwork>,
    /// Where other nodes reach it.
    pub internal_ips: Vec<IpAddr>,
}

/// Limits of pods by `namespace/name`; one that has none is left out.
pub type Limits = BTreeMap<String, Bandwidth>;

/// Everything the agent knows about the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// Nodes by name.
    pub nodes: BTreeMap<String, Node>,
    /// How fast pods may send and receive, on whichever node they are.
    pub limits: Limits,
}
