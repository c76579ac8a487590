//! How long to wait before trying again: longer each time, and not in step with other nodes.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// The time before the first attempt to mend something.
const LEAST: Duration = Duration::from_millis(500);
/// And before each after many.
const MOST: Duration = Duration::from_secs(30);

/// Waiting times that double.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next one: between half of it and all of it.
    pub fn next(&mut self) -> Duration {
        let whole = LEAST.saturating_mul(1 << self.failures.min(16)).min(MOST);
        self.failures += 1;
        spread(whole)
    }

    /// Something went well.
    pub fn reset(&mut self) {
        self.failures = 0;
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
    use super::*;

    #[test]
    fn waiting_doubles_up_to_a_bound_and_begins_anew_after_success() {
        let mut backoff = Backoff::default();
        for failures in 0..100 {
            let whole = LEAST.saturating_mul(1 << failures.min(16)).min(MOST);
            let wait = backoff.next();
            assert!(wait >= whole / 2 && wait <= whole, "{failures}: {wait:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= LEAST);
    }

    #[test]
    fn nodes_do_not_wait_in_step() {
        let times: std::collections::BTreeSet<Duration> = (0..100).map(|_| spread(MOST)).collect();
        assert!(times.len() > 10, "{}", times.len());
    }
}
