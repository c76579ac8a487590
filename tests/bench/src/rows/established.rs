//! An established flow between two pods of a node: what nearly every packet costs.

use anyhow::ensure;
use caracal_abi::{Reason, program};
use caracal_datapath::{Features, Loader};
use caracal_harness::{Frame, Plane, Pod, isolated};

use crate::{
    report::{Report, Row, Target},
    test_run::{WRAPPER, Wrapper},
};

/// How `--rows` finds these.
pub const NAME: &str = "established";

/// One hot flow flatters the caches.
const FLOWS: [u32; 4] = [1, 1_000, 10_000, 50_000];
/// Room for both directions of all of them.
const FLOW_ENTRIES: u32 = 262_144;

/// Measures both families.
pub fn measure(report: &mut Report, rounds: u32, packets: u32) -> anyhow::Result<()> {
    isolated(|root| {
        let loader = Loader { host_nat: false, flow_entries: Some(FLOW_ENTRIES), ..Loader::new(Features::probe()) };
        let plane = Plane::with(root, &loader);
        let mut wrapper = Wrapper::new();
        for (family, from, to) in [("IPv4", "10.0.0.1", "10.0.0.2"), ("IPv6", "fd00::1", "fd00::2")] {
            let (from, to) = (Pod::new(from, 1, Plane::IFINDEX), Pod::new(to, 2, 999));
            plane.add(&from);
            plane.add(&to);
            let packet = Frame::new(&from, to.ip).udp(0, 53, &[0; 64]);
            for flows in FLOWS {
                let before = plane.count(Reason::NewFlow).packets;
                let timing = wrapper.time(plane.classifier(program::FROM_POD), &packet, flows, rounds, packets)?;
                let new = plane.count(Reason::NewFlow).packets - before;
                // Otherwise this timed something else.
                ensure!(new <= u64::from(flows), "{family}: {new} first packets for {flows} flows");
                let name = format!("{family} pod→pod, same node, established, {flows} flows");
                let row = Row::new(name, "ns/packet", timing.net).beside(WRAPPER, timing.wrapper_ns);
                report.push(row.target(target(family, flows)));
            }
        }
        Ok(())
    })
}

/// What is to be reached, of the minimum.
fn target(family: &str, flows: u32) -> Option<Target> {
    match (family, flows) {
        ("IPv4", 1) => Some(Target::AtMost(30.0)),
        ("IPv4", 50_000) => Some(Target::AtMost(75.0)),
        _ => None,
    }
}
