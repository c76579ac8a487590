//! Objects of Calico, as they are written.

mod felix;
mod host;
mod policy;
mod pool;

pub use self::{
    felix::{Autodetection, CalicoNetwork, FelixConfiguration, Installation, InstallationPool},
    host::{HostEndpoint, HostPort, NetworkSet},
    policy::{
        CalicoAction, CalicoPolicySpec, CalicoRule, DefaultAction, EntityRule, HttpMatch, HttpPath, Icmp, PortSpec,
        ProtocolSpec, ServiceAccounts, ServiceMatch, Tier,
    },
    pool::{Encapsulation, IpPool},
};
use super::policy::Policy;

/// `NetworkPolicy` and `GlobalNetworkPolicy` of `projectcalico.org`.
pub type CalicoPolicy = Policy<CalicoPolicySpec>;
