//! What the programs tell of packets.

use caracal_datapath::events::{Telling, Told};
use clap::{Args, ValueEnum};

/// Of which packets `caracalctl monitor` hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Args)]
pub struct Events {
    /// The packets that `caracalctl monitor` can show; those of established flows are none of them. What is off costs
    /// nothing; a restart of the agent switches it.
    #[arg(long = "events", value_name = "WHICH", value_enum, default_value_t = Which::Off)]
    pub which: Which,

    /// Of packets that are not dropped only one of so many is told, chosen by chance.
    #[arg(long = "events-one-in", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub one_in: u32,

    /// At most so many events are told on each CPU in a second, and a tenth of that at once. The others are counted.
    #[arg(long = "events-per-second", value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub per_second: u32,

    /// KiB of the buffer that holds events until they are read, a power of two. One holds nine events.
    #[arg(long = "events-buffer", value_name = "KIB", default_value_t = 256, value_parser = buffer_kib)]
    pub buffer_kib: u32,
}

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

impl Events {
    /// What the programs are loaded with.
    #[must_use]
    pub fn telling(&self) -> Telling {
        Telling {
            told: match self.which {
                Which::Off => Told::Off,
                Which::Drops => Told::Drops,
                Which::First => Told::First,
                Which::All => Told::All,
            },
            one_in: self.one_in,
            per_second: self.per_second,
            at_once: (self.per_second / 10).max(1),
            buffer_bytes: self.buffer_kib << 10,
        }
    }
}

/// What the kernel takes: whole pages, as a power of two.
fn buffer_kib(text: &str) -> Result<u32, String> {
    const LARGEST: u32 = 1 << 20;

    let kib: u32 = text.parse().map_err(|error| format!("{error}"))?;
    match kib {
        // The largest page that kernels have.
        64..=LARGEST if kib.is_power_of_two() => Ok(kib),
        64..=LARGEST => Err(format!("{kib} is no power of two; write {}", kib.next_power_of_two())),
        _ => Err(format!("it must be from 64 to {LARGEST}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_a_power_of_two_and_what_is_none_is_told_why() {
        assert_eq!(buffer_kib("64"), Ok(64));
        assert_eq!(buffer_kib("1048576"), Ok(1 << 20));
        let wrong = [("300", "write 512"), ("32", "from 64"), ("2097152", "to 1048576"), ("a", "digit")];
        for (text, part) in wrong {
            let error = buffer_kib(text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
