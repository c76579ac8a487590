//! The kinds of objects that are followed.

use serde::Serialize;

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[expect(missing_docs, reason = "each is what it is called")]
pub enum Kind {
    Node,
    Namespace,
    Pod,
    Service,
    EndpointSlice,
    ServiceCidr,
    NetworkPolicy,
    ClusterNetworkPolicy,
    Tier,
    CalicoNetworkPolicy,
    GlobalNetworkPolicy,
    NetworkSet,
    GlobalNetworkSet,
    HostEndpoint,
    IpPool,
    FelixConfiguration,
    Installation,
}

/// What its objects say they are, and where they are found.
struct Facts {
    kind: &'static str,
    plural: &'static str,
    api_versions: &'static [&'static str],
}

const CORE: &[&str] = &["v1"];
const NETWORKING: &[&str] = &["networking.k8s.io/v1"];
/// The second is where Calico keeps what the first shows. Where both are there, the second may be a leftover.
const CALICO: &[&str] = &["projectcalico.org/v3", "crd.projectcalico.org/v1"];

impl Kind {
    /// Every one.
    pub const ALL: [Self; 17] = [
        Self::Node,
        Self::Namespace,
        Self::Pod,
        Self::Service,
        Self::EndpointSlice,
        Self::ServiceCidr,
        Self::NetworkPolicy,
        Self::ClusterNetworkPolicy,
        Self::Tier,
        Self::CalicoNetworkPolicy,
        Self::GlobalNetworkPolicy,
        Self::NetworkSet,
        Self::GlobalNetworkSet,
        Self::HostEndpoint,
        Self::IpPool,
        Self::FelixConfiguration,
        Self::Installation,
    ];

    /// The kind that an object says it is.
    #[must_use]
    pub fn find(api_version: &str, kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|found| found.name() == kind && found.api_versions().contains(&api_version))
    }

    /// `kind`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.facts().kind
    }

    /// `kind` as the address of its objects has it.
    #[must_use]
    pub fn plural(self) -> &'static str {
        self.facts().plural
    }

    /// `apiVersion`: the preferred one first.
    #[must_use]
    pub fn api_versions(self) -> &'static [&'static str] {
        self.facts().api_versions
    }

    /// Whether its objects are in namespaces.
    #[must_use]
    pub fn is_namespaced(self) -> bool {
        use Kind::{CalicoNetworkPolicy, EndpointSlice, NetworkPolicy, NetworkSet, Pod, Service};

        matches!(self, Pod | Service | EndpointSlice | NetworkPolicy | CalicoNetworkPolicy | NetworkSet)
    }

    /// Whether a cluster may know nothing of it.
    #[must_use]
    pub fn is_optional(self) -> bool {
        use Kind::{EndpointSlice, Namespace, NetworkPolicy, Node, Pod, Service};

        !matches!(self, Node | Namespace | Pod | Service | EndpointSlice | NetworkPolicy)
    }

    /// Which of its objects an API server is asked for, if not for all.
    #[must_use]
    pub fn field_selector(self) -> Option<&'static str> {
        (self == Self::Pod).then_some("status.phase!=Succeeded,status.phase!=Failed")
    }

    fn facts(self) -> Facts {
        let (kind, plural, api_versions) = match self {
            Self::Node => ("Node", "nodes", CORE),
            Self::Namespace => ("Namespace", "namespaces", CORE),
            Self::Pod => ("Pod", "pods", CORE),
            Self::Service => ("Service", "services", CORE),
            Self::EndpointSlice => ("EndpointSlice", "endpointslices", &["discovery.k8s.io/v1"][..]),
            Self::ServiceCidr => {
                ("ServiceCIDR", "servicecidrs", &["networking.k8s.io/v1", "networking.k8s.io/v1beta1"][..])
            }
            Self::NetworkPolicy => ("NetworkPolicy", "networkpolicies", NETWORKING),
            Self::ClusterNetworkPolicy => {
                ("ClusterNetworkPolicy", "clusternetworkpolicies", &["policy.networking.k8s.io/v1alpha2"][..])
            }
            Self::Tier => ("Tier", "tiers", CALICO),
            Self::CalicoNetworkPolicy => ("NetworkPolicy", "networkpolicies", CALICO),
            Self::GlobalNetworkPolicy => ("GlobalNetworkPolicy", "globalnetworkpolicies", CALICO),
            Self::NetworkSet => ("NetworkSet", "networksets", CALICO),
            Self::GlobalNetworkSet => ("GlobalNetworkSet", "globalnetworksets", CALICO),
            Self::HostEndpoint => ("HostEndpoint", "hostendpoints", CALICO),
            Self::IpPool => ("IPPool", "ippools", CALICO),
            Self::FelixConfiguration => ("FelixConfiguration", "felixconfigurations", CALICO),
            Self::Installation => ("Installation", "installations", &["operator.tigera.io/v1"][..]),
        };
        Facts { kind, plural, api_versions }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn objects_are_told_apart_by_version_and_kind() {
        for kind in Kind::ALL {
            for api_version in kind.api_versions() {
                assert_eq!(Kind::find(api_version, kind.name()), Some(kind));
            }
        }
        assert_eq!(Kind::find("v2", "Pod"), None);
        assert_eq!(Kind::find("v1", "NetworkPolicy"), None);
        assert_eq!(Kind::ALL.into_iter().collect::<BTreeSet<_>>().len(), Kind::ALL.len());
    }
}
