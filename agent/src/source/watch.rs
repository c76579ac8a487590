//! Being told when something in a directory changes.

use std::path::Path;

use anyhow::Context;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::{Receiver, channel};

/// A watched directory.
#[derive(Debug)]
pub struct Watch {
    _watcher: RecommendedWatcher,
    changes: Receiver<()>,
}

impl Watch {
    /// Begins to watch.
    pub fn new(directory: &Path) -> anyhow::Result<Self> {
        // One place is enough: a change that is not yet looked at stands for all that follow.
        let (tell, changes) = channel(1);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                let _ = tell.try_send(());
            }
        })
        .context("cannot watch files")?;
        watcher
            .watch(directory, RecursiveMode::NonRecursive)
            .with_context(|| format!("{}: cannot watch it", directory.display()))?;
        Ok(Self { _watcher: watcher, changes })
    }

    /// Waits for a change. Never returns if the watcher is gone.
    pub async fn changed(&mut self) {
        if self.changes.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}
