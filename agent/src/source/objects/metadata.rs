//! What every object says about itself.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, Visitor},
};

use crate::model::{Kind, Name, Names, nullable::nullable};

/// What every object begins with.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    pub api_version: String,
    pub kind: String,
}

/// Who an object is, also where something else about it is wrong.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Named {
    api_version: Option<String>,
    metadata: Metadata<IgnoredAny>,
}

impl Named {
    /// What the object is called.
    pub fn name(&self, kind: Kind, names: &mut Names) -> Name {
        self.metadata.name(kind, self.api_version.as_deref(), names)
    }
}

/// `metadata`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "A: Deserialize<'de> + Default"))]
pub struct Metadata<A> {
    name: Simple,
    namespace: Option<Simple>,
    #[serde(default, deserialize_with = "nullable")]
    pub labels: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "nullable")]
    pub annotations: A,
    pub deletion_timestamp: Option<IgnoredAny>,
}

impl<A> Metadata<A> {
    /// The name alone.
    pub fn plain_name(&self) -> &str {
        &self.name.0
    }

    /// What the object is called.
    pub fn name(&self, kind: Kind, api_version: Option<&str>, names: &mut Names) -> Name {
        let is_kept_by_tier = matches!(kind, Kind::CalicoNetworkPolicy | Kind::GlobalNetworkPolicy)
            && api_version.is_some_and(|version| version.starts_with("crd."));
        let tierless = self.name.0.strip_prefix("default.").filter(|rest| is_kept_by_tier && !rest.is_empty());
        let name = names.text(tierless.unwrap_or(&self.name.0));
        if !kind.is_namespaced() {
            return Name::global(name);
        }
        let namespace = self.namespace.as_ref().map_or("default", |namespace| &namespace.0);
        Name { namespace: names.text(namespace), name }
    }
}

/// A name that can be part of a path.
#[derive(Debug)]
struct Simple(String);

impl<'de> Deserialize<'de> for Simple {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(SimpleVisitor)
    }
}

/// Errors of a visitor know the field and the line, those of what is made of its result do not.
struct SimpleVisitor;

impl Visitor<'_> for SimpleVisitor {
    type Value = Simple;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name: 1 to 253 of a-z, A-Z, 0-9, '-', '.', ':' and '_'")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Simple, E> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:_".contains(&byte));
        if (1..=253).contains(&text.len()) && is_plain {
            return Ok(Simple(text.to_owned()));
        }
        Err(E::invalid_value(de::Unexpected::Str(text), &self))
    }
}
