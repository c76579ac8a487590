//! A small, strict CNI runtime: it calls real plugins inside a node, as containerd would through libcni, and holds them
//! to the letter of the specification.
//!
//! Plugins get the environment and the standard input of CNI specification section 4, chained by `prevResult`; the
//! result of a whole list is cached in the node's `/var/lib/cni/results` for DEL and CHECK; DEL runs in reverse order
//! and stops at the first error. What libcni forgives (a result of another version, output where there must be none, an
//! error without an error object) is an [`Error::Protocol`] here. Every error carries all that the plugin was given and
//! said.

mod cache;
mod conf;
mod driver;
mod error;
mod result;

use std::{collections::BTreeMap, fmt, path::PathBuf, process::ExitStatus, time::Duration};

use serde_json::{Map, Value};

pub use self::{
    conf::{Network, SPEC_VERSIONS, SpecVersion},
    driver::Driver,
    error::{Error, PluginError},
};

/// What a plugin is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Attach a container.
    Add,
    /// Undo that.
    Del,
    /// Check that it is still as ADD left it.
    Check,
    /// Release what belongs to no valid attachment.
    Gc,
    /// Say whether ADD would work now.
    Status,
    /// Name the versions of the specification that the plugin knows.
    Version,
}

impl Verb {
    /// The value of `CNI_COMMAND`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Del => "DEL",
            Self::Check => "CHECK",
            Self::Gc => "GC",
            Self::Status => "STATUS",
            Self::Version => "VERSION",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A container's attachment to a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Attachment {
    /// `CNI_CONTAINERID`.
    pub container_id: String,
    /// `CNI_NETNS`. DEL may come without.
    pub netns: Option<PathBuf>,
    /// `CNI_IFNAME`.
    pub ifname: String,
    /// `CNI_ARGS`, in this order.
    pub args: Vec<(String, String)>,
    /// What goes to `runtimeConfig` of the plugins that declare the capability.
    pub capabilities: Map<String, Value>,
}

impl Attachment {
    /// Container `container_id` in `netns`, by `eth0`, with no arguments.
    #[must_use]
    pub fn new(container_id: &str, netns: impl Into<PathBuf>) -> Self {
        Self {
            container_id: container_id.to_owned(),
            netns: Some(netns.into()),
            ifname: "eth0".to_owned(),
            args: Vec::new(),
            capabilities: Map::new(),
        }
    }
}

/// One call of a plugin, with nothing added to what is written here. For tests of plugins that want to say it all
/// themselves; [`Driver`] makes its own.
#[derive(Debug, Clone)]
pub struct Call {
    /// The plugin's name, looked up in [`Driver::path`].
    pub plugin: String,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// Standard input.
    pub stdin: Vec<u8>,
}

/// A finished call of a plugin.
#[derive(Debug, Clone)]
pub struct Run {
    /// The plugin's name.
    pub plugin: String,
    /// What it was asked to do, if the environment said so.
    pub command: String,
    /// What it was given.
    pub stdin: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    /// How long it took.
    pub elapsed: Duration,
}

/// The outcome of an ADD of a whole list.
#[derive(Debug, Clone)]
pub struct Added {
    /// The result of the last plugin.
    pub result: Value,
    /// Each plugin's call, in order.
    pub runs: Vec<Run>,
}
