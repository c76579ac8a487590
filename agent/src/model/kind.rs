//! The kinds of objects that are followed.

use serde::Serialize;

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Kind {
    /// `v1 Node`.
    Node,
    /// `v1 Namespace`.
    Namespace,
    /// `v1 Pod`.
    Pod,
}

impl Kind {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Node, Self::Namespace, Self::Pod];

    /// The kind that an object says it is.
    #[must_use]
    pub fn find(api_version: &str, kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|found| found.name() == kind && found.api_versions().contains(&api_version))
    }

    /// `kind`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.facts().0
    }

    /// `kind` as the address of its objects has it.
    #[must_use]
    pub fn plural(self) -> &'static str {
        self.facts().1
    }

    /// `apiVersion`: the preferred one first.
    #[must_use]
    pub fn api_versions(self) -> &'static [&'static str] {
        self.facts().2
    }

    /// Whether its objects are in namespaces.
    #[must_use]
    pub fn is_namespaced(self) -> bool {
        matches!(self, Self::Pod)
    }

    /// Whether a cluster may know nothing of it.
    #[must_use]
    pub fn is_optional(self) -> bool {
        match self {
            Self::Node | Self::Namespace | Self::Pod => false,
        }
    }

    /// Which of its objects an API server is asked for, if not for all.
    #[must_use]
    pub fn field_selector(self) -> Option<&'static str> {
        (self == Self::Pod).then_some("status.phase!=Succeeded,status.phase!=Failed")
    }

    fn facts(self) -> (&'static str, &'static str, &'static [&'static str]) {
        match self {
            Self::Node => ("Node", "nodes", &["v1"]),
            Self::Namespace => ("Namespace", "namespaces", &["v1"]),
            Self::Pod => ("Pod", "pods", &["v1"]),
        }
    }
}
