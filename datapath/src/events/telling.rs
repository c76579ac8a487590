//! Which packets the programs tell of, and how many of them.

use std::{fs, io};

use aya::maps::MapInfo;
use caracal_abi::{Disposition, Reason, map};
use caracal_logic::Pace;

use crate::{Error, Root};

/// Of which packets the programs tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Told {
    /// None.
    #[default]
    Off,
    /// Those that are dropped, and those of which something is noted.
    Drops,
    /// The same, and first packets of flows.
    First,
    /// All that are counted.
    All,
}

impl Told {
    /// Whether packets are told of that are counted under this reason.
    #[must_use]
    pub const fn tells(self, reason: Reason) -> bool {
        match self {
            Self::Off => false,
            Self::All => true,
            Self::Drops => is_drop(reason),
            Self::First => is_drop(reason) || matches!(reason, Reason::NewFlow | Reason::ViaHost | Reason::Service),
        }
    }
}

const fn is_drop(reason: Reason) -> bool {
    matches!(reason.disposition(), Disposition::Dropped | Disposition::Noted)
}

/// What the programs tell of, and how much of it. Frozen when they are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Telling {
    /// Of which packets.
    pub told: Told,
    /// Of those that are not dropped, one of so many.
    pub one_in: u32,
    /// Events of a CPU in a second, at most.
    pub per_second: u32,
    /// Events of a CPU at once.
    pub at_once: u32,
    /// Bytes of the buffer: a power of two, and no less than a page. An event takes 112.
    pub buffer_bytes: u32,
}

impl Default for Telling {
    fn default() -> Self {
        Self { told: Told::Off, one_in: 1, per_second: 1000, at_once: 100, buffer_bytes: 256 << 10 }
    }
}

/// What the programs are loaded with.
pub(crate) struct Globals {
    pub(crate) reasons: u64,
    pub(crate) one_in: u32,
    pub(crate) pace: [u32; 3],
}

impl Telling {
    pub(crate) fn is_on(&self) -> bool {
        self.told != Told::Off
    }

    pub(crate) fn globals(&self, jiffies_per_second: u32) -> Globals {
        let reasons = Reason::ALL.iter().filter(|reason| self.told.tells(**reason));
        let Pace { gain, cost, most } = Pace::new(self.per_second, self.at_once, jiffies_per_second);
        Globals {
            reasons: reasons.fold(0, |mask, reason| mask | 1 << *reason as u32),
            one_in: self.one_in,
            pace: [gain, cost, most],
        }
    }

    /// Makes room for pins: there are none while nothing is told, and a buffer of another size is another one. What was in it
    /// is nobody's loss.
    pub(crate) fn clear_pins(&self, root: &Root) -> Result<(), Error> {
        let fits = |info: MapInfo| info.max_entries() == self.buffer_bytes;
        if self.is_on() && MapInfo::from_pin(root.map(map::EVENTS)).is_ok_and(fits) {
            return Ok(());
        }
        for name in map::OF_EVENTS {
            let pin = root.map(name);
            match fs::remove_file(&pin) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::directory("remove the pin", &pin)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_tells_what_its_name_says() {
        let told = |told| Reason::ALL.iter().copied().filter(move |reason| Told::tells(told, *reason));
        assert_eq!(told(Told::Off).count(), 0);
        assert_eq!(told(Told::All).count(), Reason::ALL.len());
        assert!(told(Told::Drops).all(|it| matches!(it.disposition(), Disposition::Dropped | Disposition::Noted)));
        let first: Vec<_> = told(Told::First).filter(|reason| !is_drop(*reason)).collect();
        assert_eq!(first, [Reason::NewFlow, Reason::ViaHost, Reason::Service]);
    }

    #[test]
    fn a_reason_has_the_bit_of_its_number() {
        let telling = Telling { told: Told::First, ..Telling::default() };
        let reasons = telling.globals(250).reasons;
        for reason in Reason::ALL {
            assert_eq!(reasons >> *reason as u32 & 1 == 1, Told::First.tells(*reason), "{reason:?}");
        }
        assert_eq!(Telling::default().globals(250).reasons, 0);
        assert_eq!(telling.globals(250).pace, [1000, 250, 25_000]);
    }
}
