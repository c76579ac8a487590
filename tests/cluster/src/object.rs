//! Kubernetes objects as they are written down, and where an API server has them.

use std::fmt;

use anyhow::{Context as _, Result};
use kube::core::{ApiResource, GroupVersionKind};
use serde::Deserialize as _;
use serde_json::Value;

/// Kinds whose status is not written along with the rest.
const STATUS_APART: [&str; 3] = ["Node", "Pod", "Service"];

/// An object of any kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    body: Value,
    resource: ApiResource,
    namespace: Option<String>,
    name: String,
}

impl Object {
    /// Understands an object's body.
    pub fn new(body: Value) -> Result<Self> {
        let text = |value: &Value, key: &str| value[key].as_str().map(str::to_owned);
        let api_version = text(&body, "apiVersion").with_context(|| format!("no apiVersion in {body}"))?;
        let kind = text(&body, "kind").with_context(|| format!("no kind in {body}"))?;
        let name = text(&body["metadata"], "name").with_context(|| format!("no name in {kind} {body}"))?;
        let namespace = text(&body["metadata"], "namespace");
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
        Ok(Self { body, resource, namespace, name })
    }

    /// The documents of a YAML file; empty ones are none.
    pub fn read_all(yaml: &str) -> Result<Vec<Self>> {
        let documents = serde_norway::Deserializer::from_str(yaml).map(Value::deserialize);
        let present = documents.filter(|document| !matches!(document, Ok(Value::Null)));
        present.map(|document| Self::new(document.context("reading YAML")?)).collect()
    }

    /// All of it.
    #[must_use]
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.resource.kind
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The namespace it says it is in.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Where objects of its kind are.
    #[must_use]
    pub fn collection(&self) -> String {
        let ApiResource { group, api_version, plural, .. } = &self.resource;
        let root = if group.is_empty() { "/api" } else { "/apis" };
        let namespace = self.namespace.as_ref().map(|name| format!("/namespaces/{name}")).unwrap_or_default();
        format!("{root}/{api_version}{namespace}/{plural}")
    }

    /// Where it is itself.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/{}", self.collection(), self.name)
    }

    /// Where API servers store it.
    pub(crate) fn storage_key(&self) -> String {
        let folder = match self.resource.plural.as_str() {
            "services" => "services/specs",
            "nodes" => "minions",
            plural => plural,
        };
        let namespace = self.namespace.as_ref().map(|name| format!("{name}/")).unwrap_or_default();
        format!("/registry/{folder}/{namespace}{}", self.name)
    }

    /// Its status, if that has to be written apart.
    pub(crate) fn status(&self) -> Option<&Value> {
        self.body.get("status").filter(|_| STATUS_APART.contains(&self.kind()))
    }

    /// All of it that can be written at once.
    pub(crate) fn without_status(&self) -> Value {
        let mut body = self.body.clone();
        if let (Some(_), Some(body)) = (self.status(), body.as_object_mut()) {
            body.shift_remove("status");
        }
        body
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind())?;
        self.namespace.as_ref().map_or(Ok(()), |namespace| write!(f, "{namespace}/"))?;
        f.write_str(&self.name)
    }
}
