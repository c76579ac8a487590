//! What the agent needs for a large cluster: memory, and time from its start until it knows everything.

use std::time::Instant;

use caracal_cluster::{Bed, Crowd};

use crate::report::{Figure, Report, Row, Target};

/// How `--rows` finds these.
pub const NAME: &str = "agent";

const CROWD: Crowd = Crowd { services: 5_000, endpoints: 5, pods: 10_000 };
const KIB_IN_MIB: f64 = 1024.0;

/// Of an agent on a node whose programs are loaded, beside an API server that has been asked before.
pub fn measure(report: &mut Report, rounds: u32) -> anyhow::Result<()> {
    let bed = Bed::start("crowd", &[])?;
    CROWD.gather(bed.control())?;
    let (mut seconds, mut resident, mut most) = (Vec::new(), Vec::new(), Vec::new());
    // The first loads the programs and warms the API server.
    for round in 0..=rounds {
        let began = Instant::now();
        let agent = bed.follow()?;
        agent.wait_until_ready()?;
        let took = began.elapsed().as_secs_f64();
        let memory = agent.memory()?;
        if round > 0 {
            seconds.push(took);
            resident.push(f64::from(memory.resident_kib) / KIB_IN_MIB);
            most.push(f64::from(memory.most_kib) / KIB_IN_MIB);
        }
    }
    let Crowd { services, endpoints, pods } = CROWD;
    let name = |what: &str| format!("{NAME} at {services} services of {endpoints} and {pods} pods, {what}");
    let row = |what: &str, unit, rounds: &[f64], target| {
        Row::new(name(what), unit, Figure::least(rounds)).target(Some(Target::AtMost(target)))
    };
    report.push(row("from its start until it is ready", "s", &seconds, 1.0));
    report.push(row("resident", "MiB", &resident, 60.0));
    report.push(row("resident at most", "MiB", &most, 60.0));
    bed.end()
}
