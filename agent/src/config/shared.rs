//! The configuration of a running agent, as its parts share it.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{Change, Changed, Config, Felix, Note, show};
use crate::{Options, face::Health, logs, source::Watch};

/// The file is read this often even when nothing is known to have changed.
const LOOK: Duration = Duration::from_secs(30);
/// How long to wait after a change: an editor empties a file before it writes it.
const SETTLE: Duration = Duration::from_millis(100);

/// Whoever has one sees what holds, and hears when it changes.
#[derive(Clone)]
pub struct Shared {
    inner: Arc<Mutex<Inner>>,
    options: watch::Sender<Arc<Options>>,
    health: Health,
}

struct Inner {
    config: Config,
    remembered: Felix,
    notes: Vec<Note>,
}

impl Shared {
    /// Of an agent that starts with it.
    #[must_use]
    pub fn new(config: Config, health: Health) -> Self {
        let (options, remembered) = (watch::Sender::new(config.options()), Felix::read(&config.options().run_dir));
        let shared =
            Self { inner: Arc::new(Mutex::new(Inner { config, remembered, notes: Vec::new() })), options, health };
        shared.tell(&mut shared.lock(), &[]);
        shared
    }

    /// What is in force.
    #[must_use]
    pub fn options(&self) -> Arc<Options> {
        Arc::clone(&self.options.borrow())
    }

    /// What is in force, and whatever comes to be.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<Arc<Options>> {
        self.options.subscribe()
    }

    /// All of it, with where each value comes from.
    #[must_use]
    pub fn json(&self) -> Value {
        self.lock().config.json()
    }

    /// Takes what the cluster says of FelixConfigurations, and remembers it for the next start.
    pub fn set_felix(&self, felix: Felix) {
        let mut inner = self.lock();
        if inner.remembered == felix {
            return;
        }
        let node = felix.node.as_ref().map(|(name, spec)| (name.as_str(), spec));
        let changes = inner.config.set_felix(felix.default.as_ref(), node);
        let run_dir = inner.config.options().run_dir.clone();
        match felix.write(&run_dir) {
            Ok(()) => self.health.clear("remembered FelixConfiguration"),
            Err(error) => {
                self.health.problem("remembered FelixConfiguration", format!("{}: {error}", run_dir.display()));
            }
        }
        inner.remembered = felix;
        self.tell(&mut inner, &changes);
    }

    /// Follows the file for as long as it is polled.
    pub async fn follow_file(&self) {
        let path = self.lock().config.path().cloned();
        let Some(path) = path else { return std::future::pending().await };
        let directory = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        let mut watch = match Watch::new(directory) {
            Ok(watch) => Some(watch),
            Err(error) => {
                log::warn!("{error:#}; looking every {} s instead", LOOK.as_secs());
                None
            }
        };
        loop {
            self.health.beat("configuration file", LOOK);
            let changed = async {
                match &mut watch {
                    Some(watch) => watch.changed().await,
                    None => std::future::pending().await,
                }
            };
            // Whether it was told or not.
            let _ = timeout(LOOK, changed).await;
            sleep(SETTLE).await;
            self.reread();
        }
    }

    fn reread(&self) {
        let mut inner = self.lock();
        let changes = inner.config.reread();
        self.tell(&mut inner, &changes);
    }

    fn tell(&self, inner: &mut Inner, changes: &[Changed]) {
        let options = inner.config.options();
        logs::set(&options.log_level, options.log_format);
        for Changed { setting, before, now, change } in changes {
            let (was, is, from) = (show::words(before), show::words(&now.texts), now.from.to_string());
            match change {
                Change::Live => log::info!(setting, from; "{setting} is {is} now, not {was} any more"),
                Change::Restart => {
                    log::warn!(setting, from; "{setting} is to be {is} instead of {was}: start the agent again");
                }
            }
        }
        let config = &inner.config;
        self.health.problems("configuration", config.problems().iter().map(ToString::to_string).collect());
        let waiting = config.awaiting_restart().map(|(name, now, then)| show::awaiting(name, now, then));
        self.health.remarks("restart", waiting.collect());
        let notes = config.notes();
        for note in notes.iter().filter(|note| !inner.notes.contains(note)) {
            log::warn!("{note}");
        }
        inner.notes = notes;
        self.options.send_replace(options);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Whoever panicked with it has left a configuration that holds.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
