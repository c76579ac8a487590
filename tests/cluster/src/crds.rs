//! The kinds of other projects that the agent reads, as API servers have them: any content goes.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::{api::Api, object::Object};

/// As long as an API server may take to serve a kind that it was told of.
const SERVED: Duration = Duration::from_secs(30);

/// A group of kinds that come together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds {
    group: &'static str,
    version: &'static str,
    /// Each with its name in paths.
    cluster: &'static [(&'static str, &'static str)],
    namespaced: &'static [(&'static str, &'static str)],
}

const CALICO_CLUSTER: &[(&str, &str)] = &[
    ("FelixConfiguration", "felixconfigurations"),
    ("GlobalNetworkPolicy", "globalnetworkpolicies"),
    ("GlobalNetworkSet", "globalnetworksets"),
    ("HostEndpoint", "hostendpoints"),
    ("IPPool", "ippools"),
    ("Tier", "tiers"),
];
const CALICO_NAMESPACED: &[(&str, &str)] = &[("NetworkPolicy", "networkpolicies"), ("NetworkSet", "networksets")];

impl Kinds {
    /// Calico's own API.
    pub const CALICO: Self =
        Self { group: "projectcalico.org", version: "v3", cluster: CALICO_CLUSTER, namespaced: CALICO_NAMESPACED };
    /// The same kinds as Calico stores them where its API server is not installed.
    pub const CALICO_STORED: Self = Self { group: "crd.projectcalico.org", version: "v1", ..Self::CALICO };
    /// What Calico's operator is told by.
    pub const CALICO_OPERATOR: Self = Self {
        group: "operator.tigera.io",
        version: "v1",
        cluster: &[("Installation", "installations")],
        namespaced: &[],
    };
    /// Kubernetes' policies of the administrator.
    pub const CLUSTER_POLICY: Self = Self {
        group: "policy.networking.k8s.io",
        version: "v1alpha2",
        cluster: &[("ClusterNetworkPolicy", "clusternetworkpolicies")],
        namespaced: &[],
    };
    /// All of them.
    pub const ALL: [Self; 4] = [Self::CALICO, Self::CALICO_STORED, Self::CALICO_OPERATOR, Self::CLUSTER_POLICY];

    fn paths(self) -> impl Iterator<Item = String> {
        let Self { group, version, cluster, namespaced } = self;
        cluster.iter().chain(namespaced).map(move |(_, plural)| format!("/apis/{group}/{version}/{plural}"))
    }

    fn definitions(self) -> impl Iterator<Item = Value> {
        let cluster = self.cluster.iter().map(|kind| (kind, "Cluster"));
        let all = cluster.chain(self.namespaced.iter().map(|kind| (kind, "Namespaced")));
        all.map(move |((kind, plural), scope)| self.definition(kind, plural, scope))
    }

    fn definition(self, kind: &str, plural: &str, scope: &str) -> Value {
        let Self { group, version, .. } = self;
        let anything = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
        json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {
                "name": format!("{plural}.{group}"),
                // Asked for below k8s.io.
                "annotations": { "api-approved.kubernetes.io": "unapproved, for tests" },
            },
            "spec": {
                "group": group,
                "scope": scope,
                "names": { "kind": kind, "plural": plural, "singular": kind.to_lowercase() },
                "versions": [
                    { "name": version, "served": true, "storage": true, "schema": { "openAPIV3Schema": anything } },
                ],
            },
        })
    }
}

impl Api {
    /// Teaches the API server these kinds, and waits until it serves them.
    pub fn install(&self, kinds: &[Kinds]) -> Result<()> {
        let definitions = kinds.iter().copied().flat_map(Kinds::definitions).map(Object::new);
        self.create_all(definitions.collect::<Result<_>>()?)?;
        // All at once: the first request for a kind waits until the server has read what there is of it.
        self.wait_for_answers(kinds.iter().copied().flat_map(Kinds::paths).collect(), SERVED)
    }
}
