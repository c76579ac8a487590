//! What Prometheus is told.
//!
//! Parts of the agent write down here what they did; what the kernel and others know anyway is asked at each scrape.

mod process;
mod scraped;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use caracal_datapath::{Root, abi::LAYOUT_VERSION, conntrack::Sweep};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::Registry,
};

use self::{process::Process, scraped::Scraped};
use super::Health;

/// Shared by all parts of the agent.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    families: Families,
}

#[derive(Default)]
struct Families {
    objects: Family<OfResource, Gauge>,
    synced: Family<OfResource, Gauge>,
    applied: Durations,
    apply_errors: Family<OfPart, Counter>,
    flows: Family<OfFlows, Gauge>,
    capacity: Family<OfFlows, Gauge>,
    sweeps: Family<OfFamily, Counter>,
    expired: Family<OfFamily, Counter>,
    put_back: Family<OfFamily, Counter>,
}

/// How long parts take.
struct Durations(Family<OfPart, Histogram, fn() -> Histogram>);

impl Default for Durations {
    /// In steps from a tenth of a millisecond to some seconds.
    fn default() -> Self {
        Self(Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.0001, 4.0, 9))))
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfResource {
    resource: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfPart {
    part: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfFamily {
    family: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfFlows {
    family: &'static str,
    place: &'static str,
}

impl Metrics {
    /// Of an agent whose data plane is pinned below `root`.
    #[must_use]
    pub fn new(root: Root, health: Health) -> Self {
        let mut registry = Registry::default();
        let families = Families::default();
        let layout = LAYOUT_VERSION.to_string();
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION").to_owned()), ("map_layout", layout)]);
        registry.register("caracal_build", "What this agent is", build);
        families.register(&mut registry);
        registry.register_collector(Box::new(Scraped::new(root, health)));
        registry.register_collector(Box::new(Process::new(now())));
        Self(Arc::new(Inner { registry, families }))
    }

    /// How many objects of a kind the model has.
    pub fn objects(&self, resource: &str, count: usize) {
        let labels = OfResource { resource: resource.to_owned() };
        self.0.families.objects.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Whether the source has all objects of a kind as they are.
    pub fn synced(&self, resource: &str, is_synced: bool) {
        self.0.families.synced.get_or_create(&OfResource { resource: resource.to_owned() }).set(is_synced.into());
    }

    /// A part of the agent has gone through what it keeps right.
    pub fn applied(&self, part: &'static str, took: Duration, errors: usize) {
        let part = OfPart { part };
        self.0.families.applied.0.get_or_create(&part).observe(took.as_secs_f64());
        self.0.families.apply_errors.get_or_create(&part).inc_by(errors as u64);
    }

    /// The flow tables of a family have been swept.
    pub fn swept(&self, family: &'static str, swept: &Sweep) {
        let families = &self.0.families;
        for (place, found, capacity) in
            [("main", &swept.main, swept.main_capacity), ("new", &swept.new, swept.new_capacity)]
        {
            let labels = OfFlows { family, place };
            families.flows.get_or_create(&labels).set(i64::try_from(found.total).unwrap_or(i64::MAX));
            families.capacity.get_or_create(&labels).set(capacity.into());
        }
        let labels = OfFamily { family };
        families.sweeps.get_or_create(&labels).inc();
        families.expired.get_or_create(&labels).inc_by(swept.expired as u64);
        families.put_back.get_or_create(&labels).inc_by(swept.put_back as u64);
    }

    /// All of it as Prometheus reads it.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0.registry)?;
        Ok(text)
    }
}

impl Families {
    fn register(&self, to: &mut Registry) {
        let Self { objects, synced, applied, apply_errors, flows, capacity, sweeps, expired, put_back } = self;
        to.register("caracal_objects", "Objects in the model", objects.clone());
        to.register("caracal_synced", "Whether all objects of a kind are known as they are", synced.clone());
        to.register(
            "caracal_apply_seconds",
            "How long a part takes to go through what it keeps right",
            applied.0.clone(),
        );
        to.register(
            "caracal_apply_errors",
            "What could not be made right, each time it was tried",
            apply_errors.clone(),
        );
        to.register("caracal_flow_directions", "Directions of flows in a table, at the last sweep", flows.clone());
        to.register("caracal_flow_capacity", "Directions of flows that a table has room for", capacity.clone());
        to.register("caracal_sweeps", "Sweeps of the flow tables", sweeps.clone());
        to.register("caracal_flows_expired", "Flows removed because their time was up", expired.clone());
        to.register("caracal_flows_put_back", "Flows that a packet saved at the last moment", put_back.clone());
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_parts_have_written_down_is_told_beside_what_is_asked() {
        let health = Health::default();
        health.problem("configuration", "nic: it is empty");
        let metrics = Metrics::new(Root::new("/nowhere"), health);
        metrics.objects("nodes", 3);
        metrics.synced("nodes", true);
        metrics.applied("routes", Duration::from_millis(3), 2);
        let swept = Sweep { main_capacity: 65_536, new_capacity: 16_384, expired: 7, ..Sweep::default() };
        metrics.swept("IPv4", &swept);
        metrics.swept("IPv4", &swept);
        let text = metrics.text().unwrap();
        for line in [
            "caracal_build_info{version=\"0.1.0\",map_layout=\"",
            "caracal_objects{resource=\"nodes\"} 3",
            "caracal_synced{resource=\"nodes\"} 1",
            "caracal_apply_seconds_count{part=\"routes\"} 1",
            "caracal_apply_errors_total{part=\"routes\"} 2",
            "caracal_flow_capacity{family=\"IPv4\",place=\"new\"} 16384",
            "caracal_sweeps_total{family=\"IPv4\"} 2",
            "caracal_flows_expired_total{family=\"IPv4\"} 14",
            "caracal_problems{matter=\"configuration\"} 1",
            "caracal_data_plane_readable 0",
            "process_cpu_seconds_total ",
            "process_resident_memory_bytes ",
            "# EOF",
        ] {
            assert!(text.lines().any(|it| it.starts_with(line)), "no {line} in\n{text}");
        }
        let guide = include_str!("../../../docs/guide.md");
        for family in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (name, kind) = family.split_once(' ').unwrap();
            let suffix = if kind == "counter" {
                "_total"
            } else if kind == "info" {
                "_info"
            } else {
                ""
            };
            assert!(guide.contains(&format!("`{name}{suffix}`")), "docs/guide.md says nothing of {name}{suffix}");
        }
        let memory = text.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes ")).unwrap();
        assert!(memory.parse::<f64>().unwrap() > 1e6, "{memory}");
    }
}
