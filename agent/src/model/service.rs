//! Services.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use super::{Labels, Protocol, Text};

/// A service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "Kubernetes has them so")]
pub struct Service {
    /// How it is reached.
    pub kind: ServiceType,
    /// Its addresses within the cluster; none where it is headless.
    pub cluster_ips: Box<[IpAddr]>,
    /// `clusterIP: None`: nothing of it is balanced.
    pub is_headless: bool,
    /// Addresses that somebody else leads to the nodes.
    pub external_ips: Box<[IpAddr]>,
    /// Addresses that a load balancer leads to the nodes unchanged.
    pub balancer_ips: Box<[IpAddr]>,
    /// From where the load balancer's addresses may be reached; empty: from everywhere.
    pub source_ranges: Box<[IpNetwork]>,
    /// Its ports.
    pub ports: Box<[ServicePort]>,
    /// The pods behind it; none where somebody else says which endpoints there are.
    pub selector: Option<Labels>,
    /// What comes from within stays on its node.
    pub internal_is_local: bool,
    /// What comes from outside stays on its node.
    pub external_is_local: bool,
    /// For how many seconds a client stays with its endpoint.
    pub affinity_seconds: Option<u32>,
    /// Where load balancers ask whether this node has endpoints.
    pub health_port: Option<u16>,
    /// Pods are endpoints before they are ready.
    pub publishes_not_ready: bool,
    /// `service.kubernetes.io/service-proxy-name`: whoever has this name sees to it.
    pub proxy_name: Option<Text>,
    /// Calico's and our own annotations.
    pub annotations: Labels,
}

/// How a service is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceType {
    /// Within the cluster.
    #[default]
    #[serde(rename = "ClusterIP")]
    ClusterIp,
    /// By a port of every node, too.
    NodePort,
    /// By a load balancer, too.
    LoadBalancer,
    /// By another name: nothing to balance.
    ExternalName,
}

/// A port of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServicePort {
    /// Its name: endpoint slices have it too.
    pub name: Text,
    /// With which protocol.
    pub protocol: Protocol,
    /// Its number.
    pub port: u16,
    /// The port of the nodes that leads to it.
    pub node_port: Option<u16>,
    /// The pods' port.
    pub target: Target,
}

/// A pod's port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Target {
    /// The same for each.
    Number(u16),
    /// As each calls it.
    Name(Text),
}

/// Addresses that services may have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ServiceCidr {
    /// The networks.
    pub cidrs: Box<[IpNetwork]>,
}
