//! Where a value comes from, and what is wrong with one.

use std::{fmt, path::PathBuf, sync::Arc};

/// Where a value was set, exactly enough to find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody has said otherwise.
    Default,
    /// A FelixConfiguration.
    Felix {
        /// The object's name: `default` or `node.` and the node's.
        object: Arc<str>,
        /// The field of its `spec`.
        key: String,
    },
    /// The configuration file.
    File {
        /// The file.
        path: Arc<PathBuf>,
        /// The line, where it is known.
        line: Option<usize>,
    },
    /// A variable of the environment.
    Environment(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Felix { object, key } => write!(f, "FelixConfiguration {object}: spec.{key}"),
            Self::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// What is wrong with what was given in one place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {what}")]
pub struct Problem {
    /// Where.
    pub at: Origin,
    /// The setting it was meant for.
    pub setting: Option<&'static str>,
    /// What is wrong, and what is allowed.
    pub what: String,
}

impl Problem {
    /// Of a setting, wherever it was given.
    #[must_use]
    pub fn of(setting: &'static str, why: &str) -> Self {
        Self { at: Origin::Default, setting: Some(setting), what: format!("{setting}: {why}") }
    }
}

/// Something that is right, but without effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where.
    pub at: Origin,
    /// Why.
    pub why: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.why)
    }
}
