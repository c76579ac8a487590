//! What the agent shows of itself: metrics, health, readiness and its state, by HTTP; its life to systemd.
//!
//! All of it is on a thread of its own, so that neither a slow reader nor a scrape holds up what the agent is there for, and
//! a part of the agent that hangs can be named.

mod health;
mod listen;
mod metrics;
mod notify;
mod pages;
mod rounds;
mod snapshot;
mod watchdog;

use std::{sync::Arc, thread, time::Duration};

use anyhow::Context;
use caracal_datapath::Root;

pub use self::{
    health::{Health, Report, Weight},
    metrics::Metrics,
    notify::Notifier,
    snapshot::Snapshot,
};
use crate::config::Shared;

/// Shared by all parts of the agent.
#[derive(Clone)]
pub struct Face {
    /// The configuration.
    pub shared: Shared,
    /// How the agent is.
    pub health: Health,
    /// What it has done.
    pub metrics: Metrics,
    /// What it knows.
    pub state: Snapshot,
    notifier: Arc<Notifier>,
}

impl Face {
    /// Of an agent with this configuration. Nothing is shown yet.
    pub fn new(shared: Shared, health: Health) -> anyhow::Result<Self> {
        let notifier = Notifier::new(|name| std::env::var_os(name)).context("NOTIFY_SOCKET: cannot notify systemd")?;
        let metrics = Metrics::new(Root::new(&shared.options().bpffs), health.clone());
        Ok(Self { shared, health, metrics, state: Snapshot::default(), notifier: Arc::new(notifier) })
    }

    /// Begins to show all this, until the process ends.
    pub fn show(&self) -> anyhow::Result<()> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot make a runtime")?;
        let face = self.clone();
        let shown = thread::Builder::new().name("face".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::join!(listen::run(&face), watchdog::run(&face, &face.notifier));
            });
        });
        shown.map(drop).context("cannot start the thread that shows the agent's state")
    }

    /// Tells systemd that the agent ends because it was asked to.
    pub fn end(&self) {
        if let Err(error) = self.notifier.tell("STOPPING=1") {
            log::debug!("systemd cannot be told that this is the end: {error}");
        }
    }

    fn alive(&self) -> Report {
        self.health.alive(Duration::from_secs(self.shared.options().watchdog_seconds.into()))
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::config::{Config, Invocation};

    /// Of an agent that was started so, and the directory it runs in.
    pub(super) fn face(args: &[&str]) -> (Face, TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let run_dir = format!("--run-dir={}", directory.path().display());
        let bpffs = format!("--bpffs={}", directory.path().display());
        let args = ["caracal-agent", &run_dir, &bpffs].into_iter().chain(args.iter().copied());
        let config = Config::start(&Invocation::parse(args).unwrap(), []).unwrap();
        let health = Health::default();
        (Face::new(Shared::new(config, health.clone()), health).unwrap(), directory)
    }
}
