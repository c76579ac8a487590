//! How often something had to be put right.

use std::sync::atomic::{AtomicU64, Ordering};

/// Repairs since the agent started.
pub static REPAIRS: Tally = Tally([const { AtomicU64::new(0) }; Repair::ALL.len()]);

/// What was put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Addresses and port mappings of an interface that is gone, or is no pod's, were forgotten.
    Forgotten,
    /// A pod that the maps did not know, or knew wrongly, was put back.
    PutBack,
    /// The record of a pod that nobody deleted here was removed.
    Record,
    /// A pin of a link that is gone was removed.
    Pin,
    /// A removal that had waited for an agent was worked off.
    Removal,
}

impl Repair {
    /// Each of them.
    pub const ALL: [Self; 5] = [Self::Forgotten, Self::PutBack, Self::Record, Self::Pin, Self::Removal];

    /// What it is called in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forgotten => "forgotten",
            Self::PutBack => "put_back",
            Self::Record => "record",
            Self::Pin => "pin",
            Self::Removal => "removal",
        }
    }
}

/// How many there were of each.
#[derive(Debug)]
pub struct Tally([AtomicU64; Repair::ALL.len()]);

impl Tally {
    /// Counts some.
    pub fn count(&self, repair: Repair, times: usize) {
        self.0[repair as usize].fetch_add(times as u64, Ordering::Relaxed);
    }

    /// How many of each there were.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, u64); Repair::ALL.len()] {
        Repair::ALL.map(|repair| (repair.name(), self.0[repair as usize].load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_under_its_own_name() {
        let tally = Tally([const { AtomicU64::new(0) }; Repair::ALL.len()]);
        for (times, repair) in Repair::ALL.into_iter().enumerate() {
            tally.count(repair, times);
        }
        assert_eq!(tally.counts(), [("forgotten", 0), ("put_back", 1), ("record", 2), ("pin", 3), ("removal", 4)]);
    }
}
