//! Addresses that were given back a short time ago rest before they are handed out again, so that peers forget what
//! they know about their last owner.
//!
//! Time is cut into periods as long as the rest. What is given back is appended to the file of the current period;
//! addresses in the files of this period and the one before are resting, so a rest takes one to two periods. Older
//! files are removed by whoever begins a new one.

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    net::IpAddr,
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use super::{RELEASED, Store, fault, lines};

/// How long addresses rest.
#[derive(Clone, Copy, Debug)]
pub struct Cooldown {
    /// The shortest rest.
    pub period: Duration,
    /// The clock, as time since 1970.
    pub now: fn() -> Duration,
}

impl Default for Cooldown {
    fn default() -> Self {
        Self { period: Duration::from_secs(30), now: || SystemTime::UNIX_EPOCH.elapsed().unwrap_or(Duration::ZERO) }
    }
}

impl Store {
    /// The addresses that rest, the one that does longest first.
    pub(crate) fn cooling(&self) -> Vec<IpAddr> {
        let now = self.period();
        let periods = [now.saturating_sub(1), now];
        let text: String =
            periods.iter().filter_map(|period| fs::read_to_string(self.released(*period)).ok()).collect();
        // What was given back twice rests since the second time. After a GC there may be thousands.
        let mut seen = HashSet::new();
        let last_first = text.lines().rev().filter_map(|line| line.parse().ok());
        let mut cooling: Vec<IpAddr> = last_first.filter(|ip| seen.insert(*ip)).collect();
        cooling.reverse();
        cooling
    }

    /// Notes that `addresses` were given back now.
    pub(super) fn rest(&self, addresses: &[IpAddr]) {
        if addresses.is_empty() {
            return;
        }
        fault::point();
        let path = self.released(self.period());
        let text = lines(addresses);
        let written = self.open_released(&path).and_then(|mut file| file.write_all(text.as_bytes()));
        if let Err(e) = written {
            log::warn!("{}: {e}; addresses may come back sooner", path.display());
        }
    }

    fn open_released(&self, path: &PathBuf) -> std::io::Result<File> {
        let mut options = OpenOptions::new();
        options.append(true).mode(0o600);
        match options.open(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                self.forget_old_periods();
                options.create(true).open(path)
            }
            file => file,
        }
    }

    fn forget_old_periods(&self) {
        let now = self.period();
        for name in self.names(RELEASED).unwrap_or_default() {
            if name.parse::<u128>().is_ok_and(|period| period.abs_diff(now) > 1) {
                fault::point();
                // Somebody else may have been faster.
                let _ = fs::remove_file(self.dir.join(RELEASED).join(name));
            }
        }
    }

    fn period(&self) -> u128 {
        (self.cooldown.now)().as_nanos() / self.cooldown.period.as_nanos().max(1)
    }

    fn released(&self, period: u128) -> PathBuf {
        self.dir.join(RELEASED).join(period.to_string())
    }
}
