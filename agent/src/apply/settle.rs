//! New pods' programs, moved to where they cost a packet least.
//!
//! The plugin attaches them the quick way. The other way costs the kernel some milliseconds during which nobody can
//! change any link, so it is gone one pod at a time, with a pause in between.

use std::time::Duration;

use caracal_datapath::{Error, Pinned, attach::Method};
use tokio::time::sleep;

use crate::face::Face;

/// What this is called where the agent tells how it is.
const PART: &str = "new pods";
/// How often new pods are looked for.
const LOOK: Duration = Duration::from_secs(5);
/// How long the kernel's network configuration is left to others between two pods.
const PAUSE: Duration = Duration::from_millis(100);

/// Settles pods for as long as it is polled. Ends where the kernel has no better way.
pub async fn run(face: &Face, pinned: &Pinned) {
    loop {
        face.health.beat(PART, LOOK);
        match round(face, pinned).await {
            Ok(true) => face.health.clear(PART),
            Ok(false) => return face.health.retire(PART),
            Err(error) => face.health.problem(PART, error.to_string()),
        }
        sleep(LOOK).await;
    }
}

/// False if this kernel has no better way.
async fn round(face: &Face, pinned: &Pinned) -> Result<bool, Error> {
    for ifindex in pinned.unsettled()? {
        match pinned.settle_pod(ifindex) {
            Ok(Method::Tcx) => log::debug!("interface {ifindex}: its program is behind a tcx link now"),
            Ok(Method::Filter) => return Ok(false),
            // Its pod may have ended meanwhile; if not, it has its filter still.
            Err(error) => log::debug!("interface {ifindex}: {error}"),
        }
        sleep(PAUSE).await;
        face.health.beat(PART, LOOK);
    }
    Ok(true)
}
