//! Versions of the specification, and which of them knows what.

use std::{fmt, str::FromStr};

/// A version of the CNI specification that this plugin speaks, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 0.3.0: lists of plugins, several addresses and interfaces.
    V0_3_0,
    /// 0.3.1: the same with a typing error of the text removed.
    V0_3_1,
    /// 0.4.0: CHECK, and a previous result on DEL.
    V0_4_0,
    /// 1.0.0: no single-plugin configurations, no family beside each address.
    V1_0_0,
    /// 1.1.0: GC, STATUS, more about interfaces and routes.
    V1_1_0,
}

/// A version that this plugin does not speak.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cniVersion {0:?} is not one of {known}", known = Version::ALL.map(Version::text).join(", "))]
pub struct UnsupportedVersion(pub String);

impl Version {
    /// All of them, oldest first.
    pub const ALL: [Self; 5] = [Self::V0_3_0, Self::V0_3_1, Self::V0_4_0, Self::V1_0_0, Self::V1_1_0];

    /// The newest.
    pub const LATEST: Self = Self::V1_1_0;

    /// As configurations write it.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::V0_3_0 => "0.3.0",
            Self::V0_3_1 => "0.3.1",
            Self::V0_4_0 => "0.4.0",
            Self::V1_0_0 => "1.0.0",
            Self::V1_1_0 => "1.1.0",
        }
    }
}

impl FromStr for Version {
    type Err = UnsupportedVersion;

    fn from_str(text: &str) -> Result<Self, UnsupportedVersion> {
        Self::ALL.into_iter().find(|version| version.text() == text).ok_or_else(|| UnsupportedVersion(text.to_owned()))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
