//! Reading the programs' counters.

use aya::maps::{Map, MapData, PerCpuArray};
use caracal_abi::{Counter, Hook, Reason, counter_slot, map};

use crate::{Error, Root};

/// One line of the counters, summed over the CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Where.
    pub hook: Hook,
    /// Why.
    pub reason: Reason,
    /// How much.
    pub total: Counter,
}

/// All counters, zero or not.
pub fn read(root: &Root) -> Result<Vec<Count>, Error> {
    let data = MapData::from_pin(root.map(map::COUNTERS)).map_err(Error::map(map::COUNTERS, "open its pin"))?;
    let array: PerCpuArray<MapData, Counter> = Map::from_map_data(data)
        .and_then(PerCpuArray::try_from)
        .map_err(Error::map(map::COUNTERS, "use it as a per-CPU array"))?;
    let slots = Hook::ALL.iter().flat_map(|&hook| Reason::ALL.iter().map(move |&reason| (hook, reason)));
    slots
        .map(|(hook, reason)| {
            let per_cpu =
                array.get(&counter_slot(hook, reason), 0).map_err(Error::map(map::COUNTERS, "read a slot"))?;
            let total = per_cpu.iter().fold(Counter::default(), |sum, cpu| Counter {
                packets: sum.packets + cpu.packets,
                bytes: sum.bytes + cpu.bytes,
            });
            Ok(Count { hook, reason, total })
        })
        .collect()
}
