//! What the cluster says, as plain structs.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

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

/// What a pod's annotations ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    /// How fast it may send and receive.
    pub bandwidth: Bandwidth,
    /// Where it may send from besides its own addresses.
    pub sources: BTreeSet<IpNetwork>,
}

/// Limits of pods by `namespace/name`; one that has none is left out.
pub type Limits = BTreeMap<String, Bandwidth>;

/// Where pods may send from besides their own addresses, by `namespace/name`; one that has nothing of the kind is left out.
pub type Sources = BTreeMap<String, BTreeSet<IpNetwork>>;

/// Everything the agent knows about the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// Nodes by name.
    pub nodes: BTreeMap<String, Node>,
    /// How fast pods may send and receive, on whichever node they are.
    pub limits: Limits,
    /// Where they may send from.
    pub sources: Sources,
}
