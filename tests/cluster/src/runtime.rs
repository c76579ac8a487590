//! Asynchronous code for synchronous tests: a runtime whose threads, and so whose sockets, are on a machine's network.

use std::{future::Future, sync::Arc};

use anyhow::{Context as _, Result};
use caracal_lab::{Machine, Site as _, in_netns};
use tokio::{runtime, task::JoinHandle};

/// A runtime on a machine's network. Clones are the same runtime.
#[derive(Clone, Debug)]
pub(crate) struct Runtime(Arc<runtime::Runtime>);

impl Runtime {
    /// Threads begin in the network namespace of the thread that starts them.
    pub(crate) fn on(machine: &Machine) -> Result<Self> {
        let threads = || runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let built = in_netns(machine.netns(), threads).flatten();
        Ok(Self(Arc::new(built.with_context(|| format!("starting a runtime on {}", machine.name()))?)))
    }

    /// Lets `work` run beside the test.
    pub(crate) fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.0.spawn(work)
    }

    /// Runs `work` to its end: on a thread of the runtime, since the caller's is not on the machine's network.
    ///
    /// # Panics
    /// If `work` does.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        match self.0.block_on(self.spawn(work)) {
            Ok(done) => done,
            Err(ended) => std::panic::resume_unwind(ended.into_panic()),
        }
    }
}
