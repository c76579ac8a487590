//! What can go wrong between runtime and plugin.

use std::{fmt, io, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{Run, SpecVersion, Verb};

/// The error object that a plugin prints when it fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginError {
    /// Version of the specification it is written in.
    #[serde(rename = "cniVersion")]
    pub cni_version: Option<String>,
    /// Error code; those up to 99 are the specification's.
    pub code: u32,
    /// What went wrong.
    pub msg: String,
    /// More about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub details: String,
}

impl fmt::Display for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "code {}: {}", self.code, self.msg)?;
        if self.details.is_empty() { Ok(()) } else { write!(f, " ({})", self.details) }
    }
}

/// Why a network operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory holds no network configuration.
    #[error("no network configuration (*.conflist, *.conf, *.json) in {}", dir.display())]
    NoConfig {
        /// The directory.
        dir: PathBuf,
    },
    /// A network configuration is not valid.
    #[error("network configuration {place}: {reason}")]
    Config {
        /// The file, or the field.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A name is not one that the specification allows.
    #[error("{what} `{value}` is not allowed: {rule}")]
    Name {
        /// What it names.
        what: &'static str,
        /// The name.
        value: String,
        /// What names must be like.
        rule: &'static str,
    },
    /// The configuration is of a version that does not have the verb.
    #[error("{verb} needs cniVersion {needs}, the configuration has {version}")]
    Unsupported {
        /// What was asked for.
        verb: Verb,
        /// The first version that has it.
        needs: SpecVersion,
        /// The version of the configuration.
        version: SpecVersion,
    },
    /// CHECK without a result to compare with.
    #[error("no cached result of container {container_id} on network {network}: was it added?")]
    NotAdded {
        /// The container.
        container_id: String,
        /// The network.
        network: String,
    },
    /// No binary of that name.
    #[error("plugin {plugin} is not in {path}")]
    NotFound {
        /// The plugin.
        plugin: String,
        /// Where it was looked for.
        path: String,
    },
    /// A plugin could not be run, or did not end in time.
    #[error("{verb} of plugin {plugin}: {source:#}")]
    Exec {
        /// The plugin.
        plugin: String,
        /// What it was asked to do.
        verb: String,
        /// Why it did not run.
        source: anyhow::Error,
    },
    /// A plugin said that it failed.
    #[error("{} of plugin {}: {error}{}", run.command, run.plugin, stderr_of(run))]
    Failed {
        /// What the plugin says.
        error: PluginError,
        /// The call.
        run: Box<Run>,
    },
    /// A plugin does not keep to the specification.
    #[error("{} of plugin {} breaks the CNI specification: {reason}\nstdout: {}{}", run.command, run.plugin, run.stdout.trim_end(), stderr_of(run))]
    Protocol {
        /// How.
        reason: String,
        /// The call.
        run: Box<Run>,
    },
    /// The cache of results cannot be used.
    #[error("cached result {}: {source}", path.display())]
    Cache {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// GC goes on after an error; these are all of them.
    #[error("{} errors: {}", .0.len(), joined(.0))]
    Several(Vec<Error>),
}

impl Error {
    /// The error object of the plugin, if it is one that failed by the rules.
    #[must_use]
    pub fn plugin_error(&self) -> Option<&PluginError> {
        if let Self::Failed { error, .. } = self { Some(error) } else { None }
    }

    /// The call that failed, if it came to that.
    #[must_use]
    pub fn run(&self) -> Option<&Run> {
        match self {
            Self::Failed { run, .. } | Self::Protocol { run, .. } => Some(run),
            _ => None,
        }
    }
}

fn stderr_of(run: &Run) -> String {
    let stderr = run.stderr.trim();
    if stderr.is_empty() { String::new() } else { format!("\nstderr: {stderr}") }
}

fn joined(errors: &[Error]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
