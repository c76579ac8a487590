//! Running pods, kept right: nobody tells the agent what becomes of a pod's link, so it looks.

use std::{path::Path, time::Duration};

use caracal_cni_plugin::record;
use caracal_datapath::Pinned;
use tokio::{sync::watch::Receiver, time::timeout};

use super::{limits::PodLimits, queues::Queues, sources::PodSources, wanted::Wanted};
use crate::Options;

/// How often.
const LOOK: Duration = Duration::from_secs(5);

/// Keeps pods right for as long as it is polled, and `wanted` has a sender.
pub async fn run(options: &Options, pinned: &Pinned, mut wanted: Receiver<Wanted>) {
    let mut pods = Pods::default();
    loop {
        let now = wanted.borrow_and_update().clone();
        pods.round(pinned, &options.run_dir, &now);
        if let Ok(Err(_)) = timeout(LOOK, wanted.changed()).await {
            return;
        }
    }
}

/// What earlier rounds have left to be done.
#[derive(Debug, Default)]
struct Pods {
    limits: PodLimits,
    sources: PodSources,
    queues: Queues,
}

impl Pods {
    fn round(&mut self, pinned: &Pinned, run_dir: &Path, wanted: &Wanted) {
        match record::survey(run_dir) {
            Ok(known) => {
                if let Err(error) = self.sources.sync(pinned, wanted, &known) {
                    log::error!("allowed sources: {error}; tried again later");
                }
                for failure in self.limits.sync(wanted, known) {
                    log::error!("{failure}; tried again later");
                }
            }
            Err(error) => log::error!("bandwidth and allowed sources: {error}; tried again later"),
        }
        // A limit is a queue like any other's.
        if let Err(error) = self.queues.round(pinned) {
            log::warn!("{error}; tried again later");
        }
    }
}
