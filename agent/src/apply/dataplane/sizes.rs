//! How large the flow tables are. Pure.

use std::ops::RangeInclusive;

/// Directions of flows that both sides want.
const MAIN: RangeInclusive<u32> = 65_536..=1_048_576;
/// All others, two directions in an entry.
const NEW: RangeInclusive<u32> = 8_192..=131_072;
/// A direction for this much memory: all tables together take half a hundredth of it, whether there are flows or not.
const MEMORY_OF_ONE: u64 = 128 << 10;

/// Entries of the table of flows that both sides want, on a machine with so many bytes of memory.
///
/// A power of two, so that a kernel that keeps a little more memory for itself than the last one gives no other table.
pub(super) fn main_entries(memory: u64) -> u32 {
    let entries = u32::try_from((memory / MEMORY_OF_ONE).next_power_of_two()).unwrap_or(u32::MAX);
    entries.clamp(*MAIN.start(), *MAIN.end())
}

/// Entries of the table of all other flows, beside one with `main` entries.
pub(super) fn new_entries(main: u32) -> u32 {
    (main / 8).clamp(*NEW.start(), *NEW.end())
}

/// Bytes of memory, by what `/proc/meminfo` says.
pub(super) fn memory(meminfo: &str) -> Option<u64> {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_table_grows_with_the_memory_between_bounds() {
        for (gib, expected) in [(0, 65_536), (1, 65_536), (8, 65_536), (16, 131_072), (32, 262_144), (128, 1_048_576)] {
            // The kernel itself takes a few hundredths.
            assert_eq!(main_entries(gib * GIB / 100 * 97), expected, "{gib} GiB");
            assert_eq!(main_entries(gib * GIB / 100 * 95), expected, "{gib} GiB and another kernel");
        }
        assert_eq!(main_entries(u64::MAX >> 1), 1_048_576);
    }

    #[test]
    fn the_table_of_new_flows_has_room_for_a_quarter() {
        for (main, expected) in [(1024, 8_192), (65_536, 8_192), (262_144, 32_768), (4_000_000, 131_072)] {
            assert_eq!(new_entries(main), expected, "{main}");
        }
    }

    #[test]
    fn memory_is_read_as_the_kernel_writes_it() {
        assert_eq!(memory("MemTotal:       16316412 kB\nMemFree:  1 kB\n"), Some(16_316_412 * 1024));
        for other in ["", "MemFree: 1 kB", "MemTotal: x kB", "MemTotal: 5"] {
            assert_eq!(memory(other), None, "{other}");
        }
    }
}
