//! The clock that the programs stamp flows with, read from outside.

use std::{io, time::Duration};

use nix::time::{ClockId, clock_getres};

use crate::{
    Error,
    snippet::{EXIT, Snippet, call, shift_right},
};

/// Ticks: the kernel's jiffies in units of a second or little more. Programs read it without a call.
pub struct Clock {
    tick: Duration,
    snippet: Snippet,
}

impl Clock {
    /// Finds out how the programs of this kernel are told to count.
    pub fn open() -> Result<Self, Error> {
        const JIFFIES64: u64 = 118;

        let jiffy = jiffy()?;
        let shift = shift(jiffy);
        let snippet = Snippet::load(&[call(JIFFIES64), shift_right(shift.into()), EXIT]).map_err(Error::Clock)?;
        Ok(Self { tick: jiffy * (1 << shift), snippet })
    }

    /// How long a tick is.
    #[must_use]
    pub fn tick(&self) -> Duration {
        self.tick
    }

    /// The tick it is.
    pub fn now(&self) -> Result<u32, Error> {
        self.snippet.run().map_err(Error::Clock)
    }

    /// For how many whole ticks nothing was seen.
    #[must_use]
    pub fn since(now: u32, last_seen: u32) -> u32 {
        // A packet may have come after the clock was read.
        now.saturating_sub(last_seen)
    }
}

/// What the programs of this kernel are to be loaded with.
pub(crate) fn tick_shift() -> Result<u8, Error> {
    jiffy().map(shift)
}

/// How many jiffies a second has.
pub(crate) fn jiffies_per_second() -> Result<u32, Error> {
    let jiffy = jiffy()?.as_nanos().max(1);
    Ok(u32::try_from(Duration::from_secs(1).as_nanos().div_ceil(jiffy)).unwrap_or(u32::MAX))
}

/// The resolution of the coarse clocks.
fn jiffy() -> Result<Duration, Error> {
    let resolution = clock_getres(ClockId::CLOCK_MONOTONIC_COARSE).map_err(|e| Error::Clock(io::Error::from(e)))?;
    Ok(Duration::from(resolution))
}

/// The least that makes a tick no shorter than a second.
fn shift(jiffy: Duration) -> u8 {
    (0..31).find(|shift| jiffy * (1 << shift) >= Duration::from_secs(1)).unwrap_or(31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_a_second_or_little_more_at_every_rate_that_kernels_have() {
        for (hz, expected) in [(100, 1.28), (250, 1.024), (300, 1.707), (1000, 1.024)] {
            let jiffy = Duration::from_nanos(1_000_000_000 / hz);
            let tick = (jiffy * (1 << shift(jiffy))).as_secs_f64();
            assert!((tick - expected).abs() < 0.001, "{hz} Hz: {tick}");
        }
    }

    #[test]
    fn what_was_seen_after_the_clock_was_read_was_seen_just_now() {
        assert_eq!((Clock::since(7, 7), Clock::since(7, 8), Clock::since(7, 3)), (0, 0, 4));
    }
}
