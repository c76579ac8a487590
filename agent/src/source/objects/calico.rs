//! Calico's objects, by both of its APIs.
//!
//! `crd.projectcalico.org/v1` is where the objects of `projectcalico.org/v3` are kept. There, the labels that people
//! wrote are in an annotation, and policies of the default tier are called `default.` and their name.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

use super::{Metadata, Read, Unknown};
use crate::model::{
    Body, Kind, Labels, Names,
    calico::{CalicoPolicySpec, FelixConfiguration, HostEndpoint, Installation, IpPool, NetworkSet, Tier},
    nullable::nullable,
    policy::Policy,
};

/// An object as either API has it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Calico<S> {
    api_version: Option<String>,
    metadata: Metadata<Annotations>,
    spec: S,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Annotations {
    #[serde(rename = "projectcalico.org/metadata")]
    metadata: Option<Kept>,
}

/// What is said by one kind or another.
pub trait Spec {
    /// Whether what is not known matters.
    const TELLS_UNKNOWN: bool = false;

    /// What it says, as the model has it.
    fn body(self, kind: Kind, labels: Labels, unknown: Unknown) -> Body;
}

impl<'de, S: Spec + Deserialize<'de>> Read<'de> for Calico<S> {
    type Annotations = Annotations;
    const TELLS_UNKNOWN: bool = S::TELLS_UNKNOWN;

    fn api_version(&self) -> Option<&str> {
        self.api_version.as_deref()
    }

    fn metadata(&self) -> &Metadata<Annotations> {
        &self.metadata
    }

    fn body(self, kind: Kind, names: &mut Names, unknown: Unknown) -> Body {
        let Self { metadata: Metadata { mut labels, annotations, .. }, spec, .. } = self;
        labels.extend(annotations.metadata.unwrap_or_default().labels);
        spec.body(kind, names.labels(&labels), unknown)
    }
}

impl Spec for CalicoPolicySpec {
    const TELLS_UNKNOWN: bool = true;

    fn body(self, kind: Kind, _: Labels, unknown: Unknown) -> Body {
        let policy = Arc::new(Policy { spec: self, unknown });
        if kind.is_namespaced() { Body::CalicoNetworkPolicy(policy) } else { Body::GlobalNetworkPolicy(policy) }
    }
}

impl Spec for NetworkSet {
    fn body(self, kind: Kind, labels: Labels, _: Unknown) -> Body {
        let set = Arc::new(Self { labels, ..self });
        if kind.is_namespaced() { Body::NetworkSet(set) } else { Body::GlobalNetworkSet(set) }
    }
}

impl Spec for HostEndpoint {
    fn body(self, _: Kind, labels: Labels, _: Unknown) -> Body {
        Body::HostEndpoint(Self { labels, ..self }.into())
    }
}

impl Spec for Tier {
    fn body(self, _: Kind, _: Labels, _: Unknown) -> Body {
        Body::Tier(self.into())
    }
}

impl Spec for IpPool {
    fn body(self, _: Kind, _: Labels, _: Unknown) -> Body {
        Body::IpPool(self.into())
    }
}

impl Spec for FelixConfiguration {
    fn body(self, _: Kind, _: Labels, _: Unknown) -> Body {
        Body::FelixConfiguration(self.into())
    }
}

impl Spec for Installation {
    fn body(self, _: Kind, _: Labels, _: Unknown) -> Body {
        Body::Installation(self.into())
    }
}

/// What people wrote, in JSON.
#[derive(Debug, Default)]
struct Kept {
    labels: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeptVisitor)
    }
}

/// Errors of a visitor know the field and the line, those of what is made of its result do not.
struct KeptVisitor;

impl Visitor<'_> for KeptVisitor {
    type Value = Kept;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("metadata as JSON")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Kept, E> {
        #[derive(Deserialize)]
        struct Metadata {
            #[serde(default, deserialize_with = "nullable")]
            labels: BTreeMap<String, String>,
        }

        let Metadata { labels } =
            serde_json::from_str(text).map_err(|error| E::custom(format!("not metadata as JSON: {error}")))?;
        Ok(Kept { labels })
    }
}
