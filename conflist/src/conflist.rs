//! The file: a list of plugins.

use std::{fmt, path::PathBuf};

use ipnetwork::IpNetwork;
use serde::{Serialize, Serializer};

use crate::BINARY;

/// Which versions of the specification a list is offered in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CniVersion {
    /// 1.0.0.
    V1_0_0,
    /// 1.1.0 only: GC and STATUS, but runtimes that do not know it refuse the list.
    V1_1_0,
    /// Whichever of the two is the newest that the runtime knows.
    #[default]
    Newest,
}

/// A network: plugins that run one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Conflist {
    cni_version: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    cni_versions: &'static [&'static str],
    name: String,
    plugins: Vec<Entry>,
}

/// Our plugin's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plugin {
    /// Name of the binary.
    #[serde(rename = "type")]
    pub binary: &'static str,
    /// What the runtime may pass on from a pod.
    #[serde(skip_serializing_if = "Capabilities::is_empty")]
    pub capabilities: Capabilities,
    /// Whether a pod may start without the data plane.
    pub policy: Policy,
    /// The pods' MTU; that of the default route if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Where the data plane is pinned, if not in its usual place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bpffs: Option<PathBuf>,
    /// Where state is kept, if not in its usual place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_dir: Option<PathBuf>,
    /// How much is logged, if not warnings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_level: Option<String>,
    /// Where addresses come from; another plugin has seen to that if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipam: Option<Ipam>,
}

/// What the runtime may pass on from a pod, by name; a capability that is not declared does not reach the plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities(pub &'static [&'static str]);

impl Serialize for Capabilities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|name| (name, true)))
    }
}

impl Capabilities {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One plugin of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Entry {
    /// Ours.
    Ours(Plugin),
    /// Another project's, which needs no more settings than these.
    Companion(Companion),
}

/// A plugin of the CNI project behind ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Companion {
    /// Name of the binary.
    #[serde(rename = "type")]
    pub binary: &'static str,
    /// What the runtime may pass on from a pod.
    #[serde(skip_serializing_if = "Capabilities::is_empty")]
    pub capabilities: Capabilities,
}

/// Whether a pod may start without the data plane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// The kernel's routing is enough.
    #[default]
    None,
    /// No pod without our programs in front of it.
    Required,
}

/// Where addresses come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ipam {
    /// Name of the IPAM.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Sets of ranges; a pod gets one address of each set.
    pub ranges: Vec<Vec<Range>>,
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Range {
    /// All of this subnet but its gateway.
    pub subnet: IpNetwork,
}

impl Plugin {
    /// With the usual settings, and addresses given by another plugin.
    #[must_use]
    pub fn new(capabilities: &'static [&'static str]) -> Self {
        Self {
            binary: BINARY,
            capabilities: Capabilities(capabilities),
            policy: Policy::default(),
            mtu: None,
            bpffs: None,
            run_dir: None,
            log_level: None,
            ipam: None,
        }
    }
}

impl Conflist {
    /// A network of these plugins.
    #[must_use]
    pub fn new(version: CniVersion, name: impl Into<String>, plugins: Vec<Entry>) -> Self {
        // A runtime that does not know the list of versions goes by the single one.
        let (cni_version, cni_versions): (_, &[_]) = match version {
            CniVersion::V1_0_0 => ("1.0.0", &[]),
            CniVersion::V1_1_0 => ("1.1.0", &[]),
            CniVersion::Newest => ("1.0.0", &["1.0.0", "1.1.0"]),
        };
        Self { cni_version, cni_versions, name: name.into(), plugins }
    }

    /// The file's content.
    #[must_use]
    #[expect(clippy::expect_used, reason = "strings, numbers and lists of them are always JSON")]
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(self).expect("a list without maps is JSON");
        json + "\n"
    }
}

impl fmt::Display for Conflist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}
