//! How much may be told of what happens: a token bucket that divides nothing.
//!
//! Credit is counted in units of which every jiffy brings as many as events are wanted in a second, and every event takes as
//! many as a second has jiffies.

use caracal_abi::EventState;

/// A pace: what a jiffy brings, what an event takes, how much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// What a jiffy brings.
    pub gain: u32,
    /// What an event takes.
    pub cost: u32,
    /// How much is kept.
    pub most: u32,
}

impl Pace {
    /// So many events in a second, and so many at once.
    #[must_use]
    pub const fn new(per_second: u32, at_once: u32, jiffies_per_second: u32) -> Self {
        Self { gain: per_second, cost: jiffies_per_second, most: at_once.saturating_mul(jiffies_per_second) }
    }

    /// Whether an event may be told now, which is then paid for; else it is counted.
    #[inline(always)]
    pub fn allows(&self, state: &mut EventState, jiffy: u32) -> bool {
        let passed = jiffy.wrapping_sub(state.stamp);
        state.stamp = jiffy;
        let credit = state.credit + u64::from(passed) * u64::from(self.gain);
        let credit = if credit > u64::from(self.most) { u64::from(self.most) } else { credit };
        let (cost, allowed) = (u64::from(self.cost), credit >= u64::from(self.cost));
        state.credit = if allowed { credit - cost } else { credit };
        state.suppressed += u64::from(!allowed);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `tries` a jiffy are allowed from one jiffy to before another.
    fn allowed(pace: Pace, state: &mut EventState, jiffies: std::ops::Range<u32>, tries: u32) -> u32 {
        let tries = jiffies.flat_map(|jiffy| std::iter::repeat_n(jiffy, tries as usize));
        tries.map(|jiffy| u32::from(pace.allows(state, jiffy))).sum()
    }

    #[test]
    fn a_burst_then_the_rate_and_the_rest_is_counted() {
        for hz in [100, 250, 1000] {
            let (pace, mut state) =
                (Pace::new(1000, 100, hz), EventState { stamp: 4_000_000, ..EventState::default() });
            // Whoever was silent for long has the burst and no more.
            assert_eq!(allowed(pace, &mut state, 5_000_000..5_000_001, 500), 100, "{hz} Hz");
            assert_eq!(state.suppressed, 400);
            assert_eq!(allowed(pace, &mut state, 5_000_001..5_000_001 + hz, 50), 1000, "{hz} Hz");
            // Rarely enough, and nothing is suppressed.
            let before = state.suppressed;
            assert_eq!(allowed(Pace::new(1, 1, hz), &mut state, 6_000_000..6_000_001, 1), 1);
            assert_eq!(state.suppressed, before);
        }
    }

    #[test]
    fn less_than_one_in_a_jiffy_adds_up() {
        let (pace, mut state) = (Pace::new(10, 1, 1000), EventState::default());
        assert_eq!(allowed(pace, &mut state, 0..1000, 1), 9, "the first after a hundred jiffies");
    }

    #[test]
    fn a_clock_that_wraps_and_numbers_as_large_as_they_get_do_no_harm() {
        let pace = Pace::new(u32::MAX, u32::MAX, u32::MAX);
        let mut state = EventState { stamp: u32::MAX, credit: u64::from(u32::MAX), ..EventState::default() };
        assert!(pace.allows(&mut state, u32::MAX - 1));
        let (pace, mut state) =
            (Pace::new(1000, 10, 1000), EventState { stamp: u32::MAX - 1, ..EventState::default() });
        assert_eq!(allowed(pace, &mut state, 2..3, 10), 4);
    }
}
