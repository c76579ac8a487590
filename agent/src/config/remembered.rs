//! What the cluster said last, for a start at which it cannot be asked: settings that need a restart could never be had from
//! it otherwise.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Layer, felix};

/// The `spec`s of the FelixConfigurations that matter to this node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Felix {
    /// Of `default`.
    pub default: Option<Map<String, Value>>,
    /// The node's name, and of `node.` with that name.
    pub node: Option<(String, Map<String, Value>)>,
}

impl Felix {
    /// What is remembered. What cannot be read is forgotten: the cluster says it again.
    #[must_use]
    pub fn read(run_dir: &Path) -> Self {
        fs::read(path(run_dir)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// Remembers it.
    pub fn write(&self, run_dir: &Path) -> io::Result<()> {
        let (path, bytes) = (path(run_dir), serde_json::to_vec(self)?);
        let fresh = path.with_extension("json.new");
        fs::write(&fresh, bytes)?;
        fs::rename(&fresh, &path)
    }

    pub(super) fn layers(&self) -> [Layer; 2] {
        let node = self.node.as_ref().map(|(name, spec)| felix::layer(&format!("node.{name}"), Some(spec)));
        [felix::layer("default", self.default.as_ref()), node.unwrap_or_default()]
    }
}

fn path(run_dir: &Path) -> PathBuf {
    run_dir.join("felix.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_what_is_broken_is_nothing() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Felix::read(directory.path()), Felix::default());
        let spec: Map<String, Value> = serde_json::from_str(r#"{"healthPort": 9098}"#).unwrap();
        let felix = Felix { default: Some(spec.clone()), node: Some(("n1".to_owned(), spec)) };
        felix.write(directory.path()).unwrap();
        assert_eq!(Felix::read(directory.path()), felix);
        for broken in ["", "{", "[]", r#"{"default": 7}"#] {
            fs::write(path(directory.path()), broken).unwrap();
            assert_eq!(Felix::read(directory.path()), Felix::default(), "{broken}");
        }
    }
}
