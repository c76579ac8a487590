//! Running pods, kept right: nobody tells the agent what becomes of a pod's link, so it looks.

use std::time::Duration;

use caracal_datapath::Pinned;
use tokio::{sync::watch::Receiver, time::timeout};

use super::{
    limits::{PodLimits, Wanted},
    queues::Queues,
};
use crate::Options;

/// How often.
const LOOK: Duration = Duration::from_secs(5);

/// Keeps pods right for as long as it is polled, and `wanted` has a sender.
pub async fn run(options: &Options, pinned: &Pinned, mut wanted: Receiver<Wanted>) {
    let (mut limits, mut queues) = (PodLimits::new(&options.run_dir), Queues::default());
    loop {
        for failure in limits.sync(&wanted.borrow_and_update()) {
            log::error!("{failure}; tried again later");
        }
        // A limit is a queue like any other's.
        if let Err(error) = queues.round(pinned) {
            log::warn!("{error}; tried again later");
        }
        if let Ok(Err(_)) = timeout(LOOK, wanted.changed()).await {
            return;
        }
    }
}
