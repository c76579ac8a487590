//! Running pods, kept right: nobody tells the agent what becomes of a pod's link, so it looks.

use std::time::Duration;

use caracal_datapath::Pinned;
use tokio::time::sleep;

use super::queues::Queues;

/// How often.
const LOOK: Duration = Duration::from_secs(5);

/// Keeps pods right for as long as it is polled.
pub async fn run(pinned: &Pinned) {
    let mut queues = Queues::default();
    loop {
        if let Err(error) = queues.round(pinned) {
            log::warn!("{error}; tried again later");
        }
        sleep(LOOK).await;
    }
}
