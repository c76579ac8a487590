//! What the programs tell of packets.

use caracal_datapath::events::{Telling, Told};
use clap::ValueEnum;

use crate::Options;

/// Which packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// None.
    Off,
    /// Those that are dropped.
    Drops,
    /// Those, and first packets of flows.
    First,
    /// All that are counted.
    All,
}

impl Options {
    /// What the programs are loaded with.
    #[must_use]
    pub fn telling(&self) -> Telling {
        Telling {
            told: match self.events {
                Which::Off => Told::Off,
                Which::Drops => Told::Drops,
                Which::First => Told::First,
                Which::All => Told::All,
            },
            one_in: self.events_one_in,
            per_second: self.events_per_second,
            at_once: (self.events_per_second / 10).max(1),
            buffer_bytes: self.events_buffer.0 << 10,
        }
    }
}

/// The size of the buffer in KiB: what the kernel takes is whole pages, as a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferKib(u32);

impl std::str::FromStr for BufferKib {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const LARGEST: u32 = 1 << 20;

        let kib: u32 = text.parse().ok().ok_or_else(|| format!("{text:?} is not such a number"))?;
        match kib {
            // The largest page that kernels have.
            64..=LARGEST if kib.is_power_of_two() => Ok(Self(kib)),
            64..=LARGEST => Err(format!("{kib} is no power of two; write {}", kib.next_power_of_two())),
            _ => Err(format!("{kib} is out of bounds")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_a_power_of_two_and_what_is_none_is_told_why() {
        assert_eq!("64".parse(), Ok(BufferKib(64)));
        assert_eq!("1048576".parse(), Ok(BufferKib(1 << 20)));
        let wrong = [("300", "write 512"), ("32", "out of bounds"), ("2097152", "out of bounds"), ("a", "number")];
        for (text, part) in wrong {
            let error = text.parse::<BufferKib>().unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
