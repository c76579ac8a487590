//! What the data plane knows, and what is wrong: asked at each scrape.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use caracal_datapath::{
    Root,
    abi::{Reason, map},
    counters::{self, Count},
    fill::{self, Fill},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use crate::face::{Health, Weight};

/// Maps are gone through no more often than this, whoever asks how often.
const FRESH: Duration = Duration::from_secs(10);

/// A metric, and what it is of each thing.
type Row<T, N> = (&'static str, &'static str, fn(&T) -> N);

/// Asks when it is asked.
pub(super) struct Scraped {
    root: Root,
    health: Health,
    fills: Mutex<Option<(Instant, Vec<Fill>)>>,
}

impl Scraped {
    pub(super) fn new(root: Root, health: Health) -> Self {
        Self { root, health, fills: Mutex::default() }
    }

    /// Those of the flow tables are known from the sweeps; they have too many entries to be read here.
    fn fills(&self) -> Result<Vec<Fill>, caracal_datapath::Error> {
        const SWEPT: [&str; 4] = [map::FLOWS4, map::FLOWS6, map::FLOWS_NEW4, map::FLOWS_NEW6];

        let mut known = self.fills.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, fills)) = &*known
            && at.elapsed() < FRESH
        {
            return Ok(fills.clone());
        }
        let names: Vec<&str> = map::ALL.iter().copied().filter(|name| !SWEPT.contains(name)).collect();
        let fills = fill::read(&self.root, &names)?;
        *known = Some((Instant::now(), fills.clone()));
        Ok(fills)
    }
}

impl fmt::Debug for Scraped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scraped").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Collector for Scraped {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (counts, fills) = (counters::read(&self.root), self.fills());
        for error in [counts.as_ref().err(), fills.as_ref().err()].into_iter().flatten() {
            log::debug!("metrics: {error}");
        }
        let is_readable = ConstGauge::new(i64::from(counts.is_ok() && fills.is_ok()));
        let help = "Whether counters and maps could be read for this";
        is_readable.encode(encoder.encode_descriptor(
            "caracal_data_plane_readable",
            help,
            None,
            MetricType::Gauge,
        )?)?;
        packets(&mut encoder, &counts.unwrap_or_default())?;
        maps(&mut encoder, &fills.unwrap_or_default())?;
        problems(&mut encoder, &self.health)
    }
}

fn packets(encoder: &mut DescriptorEncoder<'_>, counts: &[Count]) -> Result<(), fmt::Error> {
    let rows: [Row<Count, u64>; 2] = [
        ("caracal_packets", "Packets, by where they were seen and what became of them", |count| count.total.packets),
        ("caracal_bytes", "Bytes of them, Ethernet headers included", |count| count.total.bytes),
    ];
    for (name, help, value) in rows {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for count in counts {
            let labels = [
                ("hook", count.hook.name()),
                ("reason", count.reason.name()),
                ("disposition", disposition(count.reason)),
            ];
            ConstCounter::new(value(count)).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn maps(encoder: &mut DescriptorEncoder<'_>, fills: &[Fill]) -> Result<(), fmt::Error> {
    let rows: [Row<Fill, i64>; 2] = [
        ("caracal_map_entries", "Entries of a map", |fill| i64::try_from(fill.entries).unwrap_or(i64::MAX)),
        ("caracal_map_capacity", "Entries that a map has room for", |fill| fill.capacity.into()),
    ];
    for (name, help, value) in rows {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for fill in fills {
            ConstGauge::new(value(fill)).encode(family.encode_family(&[("map", fill.map)])?)?;
        }
    }
    Ok(())
}

fn problems(encoder: &mut DescriptorEncoder<'_>, health: &Health) -> Result<(), fmt::Error> {
    let kinds = [
        (Weight::Missing, "caracal_missing", "What the node is not ready without"),
        (Weight::Problem, "caracal_problems", "What is wrong at the moment"),
        (Weight::Remark, "caracal_remarks", "What somebody should know"),
    ];
    for (weight, name, help) in kinds {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (of, matter, lines) in health.counts() {
            let count = i64::try_from(if of == weight { lines } else { 0 }).unwrap_or(i64::MAX);
            ConstGauge::new(count).encode(family.encode_family(&[("matter", matter.as_str())])?)?;
        }
    }
    Ok(())
}

fn disposition(reason: Reason) -> &'static str {
    use caracal_datapath::abi::Disposition::{Answered, Dropped, Forwarded, Host, Noted};

    match reason.disposition() {
        Forwarded => "forwarded",
        Answered => "answered",
        Host => "host",
        Dropped => "dropped",
        Noted => "noted",
    }
}
