//! Where the model comes from: a directory of Kubernetes YAML, or Kubernetes' API.
//!
//! Both read the same objects with the same code, and tell the same changes.

pub mod kubernetes;
pub mod manifests;
mod objects;
pub mod quantity;
mod watch;

use std::{fmt, path::Path, pin::Pin};

pub use self::{
    kubernetes::Kubernetes,
    manifests::{Manifests, read_manifest},
    objects::read_json,
    watch::Watch,
};
use crate::{
    Follow,
    model::{Change, Kind},
};

/// The next changes, as soon as there are any.
pub type Next<'a> = Pin<Box<dyn Future<Output = Vec<Change>> + 'a>>;

/// Somebody who tells what the cluster says.
///
/// What it tells is level-triggered: states, which may be told again. Errors are changes too; nothing ends a source.
pub trait Source: fmt::Display {
    /// Waits for something to tell. Whoever stops waiting loses nothing.
    fn next(&mut self) -> Next<'_>;
}

/// Begins to follow what the options say; the plugin keeps its state in `run_dir`.
pub async fn open(follow: &Follow, run_dir: &Path) -> anyhow::Result<Box<dyn Source>> {
    match &follow.manifests {
        Some(directory) => Ok(Box::new(Manifests::open(directory, run_dir)?)),
        None => Ok(Box::new(Kubernetes::follow(follow.settings().servers().await?, &Kind::ALL))),
    }
}
