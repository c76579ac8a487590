//! Whether all parts of the agent are at work: looked at all the time, logged, and told to systemd.

use std::time::Duration;

use tokio::time::sleep;

use super::{Face, Notifier};

/// How often.
const LOOK: Duration = Duration::from_secs(1);

/// Looks for as long as it is polled.
pub(super) async fn run(face: &Face, notifier: &Notifier) {
    // As systemd asks of those that it watches.
    let mut interval = notifier.watchdog.map_or(LOOK, |watchdog| (watchdog / 2).min(LOOK));
    interval = interval.max(Duration::from_millis(10));
    let mut told = Told::default();
    loop {
        for state in told.round(face) {
            if let Err(error) = notifier.tell(state) {
                face.health.problem("systemd", format!("cannot tell it {state}: {error}"));
            }
        }
        sleep(interval).await;
    }
}

/// What systemd was told.
#[derive(Debug, Default)]
struct Told {
    is_ready: bool,
}

impl Told {
    /// What it is to be told now.
    fn round(&mut self, face: &Face) -> Vec<&'static str> {
        let alive = face.alive();
        let mut states = Vec::new();
        if !self.is_ready && face.health.ready().is_well {
            self.is_ready = true;
            states.push("READY=1");
        }
        if alive.is_well {
            states.push("WATCHDOG=1");
        }
        face.health.problems("watchdog", alive.lines);
        states
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::face::tests::face;

    #[test]
    fn systemd_is_told_once_that_the_node_is_ready_and_fed_as_long_as_no_part_hangs() {
        let (face, _directory) = face(&["--watchdog-seconds=5"]);
        let mut told = Told::default();
        face.health.missing("programs", "not loaded yet");
        assert_eq!(told.round(&face), ["WATCHDOG=1"]);
        face.health.clear("programs");
        assert_eq!(told.round(&face), ["READY=1", "WATCHDOG=1"]);
        assert_eq!(told.round(&face), ["WATCHDOG=1"]);
        face.health.beat_before("upkeep", Duration::from_secs(1), Duration::from_secs(60));
        assert_eq!(told.round(&face), Vec::<&str>::new());
        let lines = face.health.ready().lines;
        assert_eq!(lines, ["problem: watchdog: late: upkeep: not heard of for 60 s, expected every 1 s"]);
        face.health.beat("upkeep", Duration::from_secs(1));
        assert_eq!(told.round(&face), ["WATCHDOG=1"]);
        assert!(face.health.ready().lines.is_empty());
    }
}
