//! How long to wait for what.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// Times of a follower.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// A request is answered within this.
    pub answer: Duration,
    /// A server that has nothing to tell says so every minute; one that does not is gone.
    pub quiet: Duration,
    /// The same between two objects of a streamed list. Servers that know nothing of such lists never tell their end.
    pub stream_quiet: Duration,
    /// The server ends a watch after this at the latest.
    pub watch: Duration,
    /// Between two watches, so that a server that ends each at once is not flooded.
    pub pause: Duration,
    /// A kind that is not installed is looked for this often.
    pub look_again: Duration,
    /// After the first failure.
    pub least_backoff: Duration,
    /// After many.
    pub most_backoff: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            answer: Duration::from_secs(60),
            quiet: Duration::from_secs(90),
            stream_quiet: Duration::from_secs(10),
            watch: Duration::from_secs(280),
            pause: Duration::from_millis(200),
            look_again: Duration::from_secs(60),
            least_backoff: Duration::from_millis(500),
            most_backoff: Duration::from_secs(30),
        }
    }
}

impl Pace {
    /// How long to wait after so many failures in a row: twice as long each time, and not in step with other nodes.
    pub fn backoff(&self, failures: u32) -> Duration {
        spread(self.least_backoff.saturating_mul(1 << failures.min(16)).min(self.most_backoff))
    }
}

/// Somewhere between half a time and all of it.
pub fn spread(whole: Duration) -> Duration {
    const STEPS: u32 = 1 << 10;

    let random = u32::try_from(RandomState::new().hash_one(()) % u64::from(STEPS)).unwrap_or_default();
    whole / 2 + whole / 2 * random / STEPS
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn waiting_doubles_up_to_a_bound() {
        let pace = Pace::default();
        for failures in 0..100 {
            let whole = pace.least_backoff.saturating_mul(1 << failures.min(16)).min(pace.most_backoff);
            let wait = pace.backoff(failures);
            assert!(wait >= whole / 2 && wait <= whole, "{failures}: {wait:?}");
        }
    }

    #[test]
    fn nodes_do_not_wait_in_step() {
        let pace = Pace::default();
        let times: BTreeSet<Duration> = (0..100).map(|_| pace.backoff(16)).collect();
        assert!(times.len() > 10, "{}", times.len());
    }
}
