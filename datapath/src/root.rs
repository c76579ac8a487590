//! Where things are pinned.

use std::path::{Path, PathBuf};

use caracal_abi::LAYOUT_VERSION;

/// The directory on a bpffs that holds one node's data plane, `/sys/fs/bpf/caracal` unless a test says otherwise.
///
/// Below it, `v<layout>/maps`, `v<layout>/progs` and `v<layout>/links`: versions with different map layouts never
/// open each other's maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Default for Root {
    fn default() -> Self {
        Self::new(Self::DEFAULT)
    }
}

impl Root {
    /// Where a node's data plane is.
    pub const DEFAULT: &str = "/sys/fs/bpf/caracal";

    /// A data plane in a directory of its own.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What belongs to this layout version.
    #[must_use]
    pub fn version_dir(&self) -> PathBuf {
        self.0.join(format!("v{LAYOUT_VERSION}"))
    }

    /// Pinned maps, by symbol name.
    #[must_use]
    pub fn maps_dir(&self) -> PathBuf {
        self.version_dir().join("maps")
    }

    /// Pinned programs, by symbol name.
    #[must_use]
    pub fn programs_dir(&self) -> PathBuf {
        self.version_dir().join("progs")
    }

    /// Pinned links, `<program>-<ifindex>`.
    #[must_use]
    pub fn links_dir(&self) -> PathBuf {
        self.version_dir().join("links")
    }

    /// The pin of a map.
    #[must_use]
    pub fn map(&self, name: &str) -> PathBuf {
        self.maps_dir().join(name)
    }

    /// The pin of a program.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs_dir().join(name)
    }

    /// The pin of a program's link to an interface.
    #[must_use]
    pub fn link(&self, program: &str, ifindex: u32) -> PathBuf {
        self.links_dir().join(format!("{program}-{ifindex}"))
    }
}
