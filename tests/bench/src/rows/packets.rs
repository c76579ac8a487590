//! Packets by `BPF_PROG_TEST_RUN`: what the programs take for each, without the wrapper.
//!
//! Beside the rest of the kernel this is little, so that the sockets' rows would hide most of it.

use std::fmt;

use anyhow::ensure;
use caracal_harness::isolated;
use fixture::{Fixture, Sides};
use flow::{By, Flows, Protocol};

use crate::{
    report::{Report, Row, Target},
    test_run::{Pass, TC_ACT_REDIRECT, Timing, WRAPPER, Wrapper},
};

mod fixture;
mod flow;

const FAMILIES: [&str; 2] = ["IPv4", "IPv6"];
/// IPv6 by IPv4.
const IPV6_RATIO: f64 = 1.2;
/// From one flow that is opened to the next, where they are scattered: has no divisor in common with their number.
const STRIDE: u32 = 7_919;
/// Flows of a round of first packets.
const FIRST_FLOWS: u32 = 50_000;

/// How much is done for a figure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    pub rounds: u32,
    /// In a round.
    pub packets: u32,
}

/// What is measured, of both families.
#[derive(Clone, Copy, Debug)]
struct Case {
    way: Way,
    protocol: Protocol,
    stage: Stage,
}

/// From where to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    PodToPod,
    NicToPod,
    PodToNic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Of so many flows in turn: one hot flow flatters the caches.
    Established(u32),
    /// The same, opened in another order than they are gone through: then no cache foresees the next.
    Scattered(u32),
    /// Each of a flow of its own, into empty tables.
    First,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.way {
            Way::PodToPod => "pod→pod",
            Way::NicToPod => "NIC→pod",
            Way::PodToNic => "pod→NIC",
        })?;
        write!(f, ", {}, ", self.protocol)?;
        match self.stage {
            Stage::Established(1) => f.write_str("established, 1 flow"),
            Stage::Established(flows) => write!(f, "established, {flows} flows"),
            Stage::Scattered(flows) => write!(f, "established, {flows} scattered"),
            Stage::First => f.write_str("first of a flow"),
        }
    }
}

/// The name of a case, as `--rows` finds it.
fn name(family: &str, case: Case) -> String {
    format!("packets {family} {case}")
}

/// Measures what is `wanted`, and goes on after what fails: gives every error.
pub fn measure(report: &mut Report, effort: Effort, wanted: impl Fn(&str) -> bool) -> Vec<anyhow::Error> {
    // Families are compared: where one is wanted the other is measured too.
    let wanted = |case: &Case| FAMILIES.iter().any(|family| wanted(&name(family, *case)));
    let mut errors = Vec::new();
    for case in cases().into_iter().filter(wanted) {
        log::info!("{case}");
        // Tables that were in use have their memory in another order: no case is to feel what was before it.
        let timed = isolated(|root| -> anyhow::Result<_> {
            let (fixture, mut wrapper) = (Fixture::new(root)?, Wrapper::new());
            Ok(fixture.families().map(|sides| case.time(&fixture, &sides, &mut wrapper, effort)))
        });
        match timed {
            Ok(timings) => case.push(report, timings, &mut errors),
            Err(error) => errors.push(error.context(case.to_string())),
        }
    }
    errors
}

fn cases() -> Vec<Case> {
    let case = |way, protocol, stage| Case { way, protocol, stage };
    let established = |way, flows| case(way, Protocol::Tcp, Stage::Established(flows));
    let mut cases = [1, 1_000, 10_000, 50_000].map(|flows| established(Way::PodToPod, flows)).to_vec();
    for way in [Way::NicToPod, Way::PodToNic] {
        cases.extend([1, 50_000].map(|flows| established(way, flows)));
    }
    cases.push(case(Way::PodToPod, Protocol::Tcp, Stage::Scattered(50_000)));
    let ways = [Way::PodToPod, Way::NicToPod, Way::PodToNic];
    cases.extend(ways.map(|way| case(way, Protocol::Udp, Stage::Established(1))));
    cases.extend([Protocol::Tcp, Protocol::Udp].map(|protocol| case(Way::PodToPod, protocol, Stage::First)));
    cases
}

impl Case {
    fn flows(self, sides: &Sides) -> Flows {
        let (answerer, timed) = match self.way {
            Way::PodToPod => (sides.other_pod, By::Opener),
            Way::PodToNic => (sides.outside, By::Opener),
            Way::NicToPod => (sides.outside, By::Answerer),
        };
        Flows { protocol: self.protocol, opener: sides.pod, answerer, timed }
    }

    /// Fails unless every packet that was timed was what it is to be, and was sent on.
    fn time(self, fixture: &Fixture, sides: &Sides, wrapper: &mut Wrapper, effort: Effort) -> anyhow::Result<Timing> {
        let flows = self.flows(sides);
        let (packet, count, packets) = match self.stage {
            Stage::Established(count) | Stage::Scattered(count) => (flows.later(), count, effort.packets),
            Stage::First => (flows.first(), FIRST_FLOWS, FIRST_FLOWS),
        };
        fixture.forget_flows()?;
        if self.stage != Stage::First {
            flows.establish(fixture, count, if self.stage == Stage::Established(count) { 1 } else { STRIDE })?;
            let established = fixture.established()?;
            ensure!(established == 2 * count as usize, "{count} flows have {established} established directions");
        }
        let sender = flows.sender();
        let program = fixture.plane().classifier(sender.program);
        let pass = Pass { program, ifindex: sender.ifindex, packet: &packet, flows: count, packets };
        let (before, _) = fixture.counted()?;
        let timing = wrapper.time(&pass, effort.rounds, || match self.stage {
            Stage::Established(_) | Stage::Scattered(_) => Ok(()),
            Stage::First => fixture.forget_flows(),
        })?;
        let (after, reasons) = fixture.counted()?;
        ensure!(timing.answer == TC_ACT_REDIRECT, "packets were not sent on but {}: {reasons}", timing.answer);
        // What is counted under a reason is what is not established. One round is not timed.
        let expected = if self.stage == Stage::First { u64::from(packets) * (u64::from(effort.rounds) + 1) } else { 0 };
        let counted = after - before;
        ensure!(counted == expected, "{counted} packets were decided, not {expected}: {reasons}");
        Ok(timing)
    }

    fn push(self, report: &mut Report, timings: [anyhow::Result<Timing>; 2], errors: &mut Vec<anyhow::Error>) {
        let mut best = Vec::new();
        for (family, timing) in FAMILIES.into_iter().zip(timings) {
            let name = name(family, self);
            match timing {
                Ok(Timing { net, wrapper_ns, .. }) => {
                    best.push(net);
                    let target = self.target().filter(|_| family == FAMILIES[0]);
                    report.push(Row::new(name, "ns/packet", net).beside(WRAPPER, wrapper_ns).target(target));
                }
                Err(error) => errors.push(error.context(name)),
            }
        }
        if let [v4, v6] = best[..] {
            let row = Row::new(format!("packets IPv6 by IPv4, {self}"), "ns/packet", v6);
            report.push(row.beside("the same by IPv4", v4.best).target(Some(Target::RatioAtMost(IPV6_RATIO))));
        }
    }

    /// What is to be reached.
    fn target(self) -> Option<Target> {
        let most_ns = match (self.stage, self.way) {
            (Stage::First, _) => 300.0,
            (Stage::Established(1), Way::PodToPod) => 30.0,
            (Stage::Established(1), Way::NicToPod) => 35.0,
            (Stage::Established(1), Way::PodToNic) => 45.0,
            (Stage::Established(_), _) => 75.0,
            (Stage::Scattered(_), _) => return None,
        };
        Some(Target::AtMost(most_ns))
    }
}
