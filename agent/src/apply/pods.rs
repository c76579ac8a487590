//! Running pods, kept right: nobody tells the agent what becomes of a pod's link, so it looks.

use std::{path::Path, time::Duration};

use caracal_cni_plugin::record;
use caracal_datapath::Pinned;
use tokio::{
    sync::{Notify, watch::Receiver},
    time::sleep,
};

use super::{limits::PodLimits, queues::Queues, sources::PodSources, wanted::Wanted};
use crate::{Options, face::Face};

/// How often.
const LOOK: Duration = Duration::from_secs(5);
/// How long to wait for more when there is something to look at: pods come in crowds, the plugin has not quite finished, and
/// nobody is to wait for a look while others are being added.
const TOGETHER: Duration = Duration::from_millis(200);

/// Keeps pods right for as long as it is polled, and `wanted` has a sender. Looks at once when `told`.
pub async fn run(face: &Face, options: &Options, pinned: &Pinned, mut wanted: Receiver<Wanted>, told: &Notify) {
    let mut pods = Pods::default();
    loop {
        let now = wanted.borrow_and_update().clone();
        face.round("local pods", LOOK, async { pods.round(pinned, &options.run_dir, &now) }).await;
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return },
            () = told.notified() => sleep(TOGETHER).await,
            () = sleep(LOOK) => {}
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
    /// What is left to be done, and tried again.
    fn round(&mut self, pinned: &Pinned, run_dir: &Path, wanted: &Wanted) -> Vec<String> {
        let mut errors = Vec::new();
        match record::survey(run_dir) {
            Ok(known) => {
                let sources = self.sources.sync(pinned, wanted, &known);
                errors.extend(sources.err().map(|error| format!("allowed sources: {error}")));
                errors.extend(self.limits.sync(wanted, known).iter().map(ToString::to_string));
            }
            Err(error) => errors.push(format!("bandwidth and allowed sources: {error}")),
        }
        // A limit is a queue like any other's.
        errors.extend(self.queues.round(pinned).err().map(|error| error.to_string()));
        errors
    }
}
