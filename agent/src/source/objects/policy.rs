//! `NetworkPolicy` and `ClusterNetworkPolicy` of Kubernetes.

use serde::{Deserialize, de::IgnoredAny};

use super::{Metadata, Read, Unknown};
use crate::model::{
    Body, Kind, Names,
    nullable::nullable,
    policy::{ClusterPolicySpec, Direction, NetworkPolicySpec, Policy},
};

#[derive(Debug, Deserialize)]
pub struct NetworkPolicy {
    metadata: Metadata<IgnoredAny>,
    #[serde(default, deserialize_with = "nullable")]
    spec: NetworkPolicySpec,
}

impl Read<'_> for NetworkPolicy {
    type Annotations = IgnoredAny;
    const TELLS_UNKNOWN: bool = true;

    fn metadata(&self) -> &Metadata<IgnoredAny> {
        &self.metadata
    }

    fn body(self, _: Kind, _: &mut Names, unknown: Unknown) -> Body {
        let mut spec = self.spec;
        if spec.policy_types.is_empty() {
            // As API servers complete it.
            spec.policy_types.push(Direction::Ingress);
            spec.policy_types.extend((!spec.egress.is_empty()).then_some(Direction::Egress));
        }
        Body::NetworkPolicy(Policy { spec, unknown }.into())
    }
}

#[derive(Debug, Deserialize)]
pub struct ClusterNetworkPolicy {
    metadata: Metadata<IgnoredAny>,
    spec: ClusterPolicySpec,
}

impl Read<'_> for ClusterNetworkPolicy {
    type Annotations = IgnoredAny;
    const TELLS_UNKNOWN: bool = true;

    fn metadata(&self) -> &Metadata<IgnoredAny> {
        &self.metadata
    }

    fn body(self, _: Kind, _: &mut Names, unknown: Unknown) -> Body {
        Body::ClusterNetworkPolicy(Policy { spec: self.spec, unknown }.into())
    }
}
