//! What a verb is about.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Args, CniError, Code, Version};
use crate::{Attachment, attachment::is_identifier, json::Node};

/// A configuration and what the runtime says beside it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The configuration's version, and that of what is answered.
    pub version: Version,
    /// The network's name.
    pub network: String,
    /// The configuration, unknown keys included.
    pub conf: Value,
    /// `CNI_ARGS`.
    pub args: Args,
    /// `CNI_PATH`.
    pub path: Vec<PathBuf>,
}

/// The attachment that ADD, DEL and CHECK are about.
#[derive(Clone, Debug)]
pub struct Target {
    /// Which interface of which container.
    pub attachment: Attachment,
    /// The container's network namespace; always there for ADD and CHECK.
    pub netns: Option<PathBuf>,
    /// The container's namespace may be the plugin's own.
    pub own_netns_allowed: bool,
}

impl Target {
    /// The container's network namespace.
    pub fn netns(&self) -> Result<&Path, CniError> {
        let missing = || CniError::new(Code::InvalidEnvironment, "required but not set: CNI_NETNS");
        self.netns.as_deref().ok_or_else(missing)
    }
}

impl Request {
    /// Checks version and name of a configuration. A configuration without a version is one of 0.1.0.
    pub(super) fn new(conf: Value, args: Args, path: Vec<PathBuf>) -> Result<Self, CniError> {
        let node = Node::root(&conf);
        let version = declared_version(&conf)?;
        let network: String = node.require("name")?;
        if !is_identifier(&network) || network.len() > 200 {
            let reason = "must start with a letter or digit and go on with letters, digits, '_', '.' and '-'";
            return Err(node.field_error("name", format!("{network:?} {reason}, at most 200 of them")).into());
        }
        Ok(Self { version, network, conf, args, path })
    }

    /// The configuration, to be read.
    #[must_use]
    pub fn conf(&self) -> Node<'_> {
        Node::root(&self.conf)
    }

    /// Refuses a verb that the configuration's version does not have.
    pub(super) fn needs(&self, verb: &str, since: Version) -> Result<(), CniError> {
        if self.version >= since {
            return Ok(());
        }
        let details = format!("the configuration is of {}, {verb} came with {since}", self.version);
        Err(CniError::new(Code::IncompatibleVersion, format!("config version does not allow {verb}"))
            .with_details(details))
    }
}

pub(super) fn declared_version(conf: &Value) -> Result<Version, CniError> {
    let text: String = Node::root(conf).field("cniVersion")?.unwrap_or_else(|| "0.1.0".to_owned());
    text.parse().map_err(|e: super::UnsupportedVersion| {
        CniError::new(Code::IncompatibleVersion, "incompatible CNI version").with_details(e.to_string())
    })
}
