//! Between sockets of pods: transactions and throughput, beside a bare veth pair and the kernel's routing.
//!
//! Both ends of every path are on the same CPU. Paths take turns within a round, so that what the machine does
//! meanwhile meets all of them.

use std::fmt;

use anyhow::Context as _;
use network::Network;
use paths::{Path, Scope};
use transfer::Transfer;

use crate::report::{Figure, Report, Row, Target};

mod network;
mod paths;
mod transfer;

/// What is measured between which ends.
#[derive(Clone, Copy, Debug)]
struct Case {
    transfer: Transfer,
    family: Family,
    scope: Scope,
}

/// Of the addresses that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::V4 { "IPv4" } else { "IPv6" })
    }
}

/// The name of a case, as `--rows` finds it.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.transfer, self.family, self.scope)
    }
}

/// Measures what is `wanted`, and goes on after what fails: gives every error.
pub fn measure(report: &mut Report, rounds: u32, wanted: impl Fn(&str) -> bool) -> anyhow::Result<Vec<anyhow::Error>> {
    let cases = cases().into_iter().filter(|case| wanted(&case.to_string())).collect::<Vec<_>>();
    let mut errors = Vec::new();
    if cases.is_empty() {
        return Ok(errors);
    }
    let network = Network::start()?;
    for case in cases {
        log::info!("{case}");
        if let Err(error) = case.measure(report, &network, rounds) {
            errors.push(error.context(case.to_string()));
        }
    }
    network.end()?;
    Ok(errors)
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for scope in Scope::ALL {
        for transfer in Transfer::ALL {
            cases.extend([Family::V4, Family::V6].map(|family| Case { transfer, family, scope }));
        }
    }
    cases
}

impl Case {
    fn measure(self, report: &mut Report, network: &Network, rounds: u32) -> anyhow::Result<()> {
        let paths = network.paths(self.scope);
        let measured = self.in_turn(&paths, rounds)?;
        let [bare, kernel, ours] = measured.each_ref().map(|rounds| self.transfer.figure(rounds));
        let row = |name: String, figure: Figure| Row::new(name, self.transfer.unit(), figure);
        let (bare_name, kernel_name) = (paths[0].name, paths[1].name);
        report.push(row(self.to_string(), ours).beside(bare_name, bare.best).target(self.target()));
        let below = self.transfer.is_time().then_some(Target::RatioBelow(1.0));
        report.push(row(format!("{self}, by routing"), ours).beside(kernel_name, kernel.best).target(below));
        report.push(row(format!("{self}, {kernel_name}"), kernel).beside(bare_name, bare.best));
        Ok(())
    }

    /// What each path gave in all rounds.
    fn in_turn<const N: usize>(self, paths: &[&Path; N], rounds: u32) -> anyhow::Result<[Vec<f64>; N]> {
        let mut measured = [const { Vec::new() }; N];
        let servers = paths.map(|path| self.transfer.serve(&path.server, self.family));
        let servers = servers.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        let before = paths.map(|path| path.routed(self.family));
        for round in 0..rounds {
            for (path, values) in paths.iter().zip(&mut measured) {
                let parts = self.transfer.run(&path.client, &path.server, self.family, round);
                values.extend(parts.with_context(|| path.name)?);
            }
        }
        drop(servers);
        for (path, before) in paths.iter().zip(before) {
            let routed = path.routed(self.family)? - before?;
            log::debug!("{self}, {}: {routed} packets routed by the kernel", path.name);
            path.check(routed, self.transfer.packets(rounds))?;
        }
        Ok(measured)
    }

    /// What is to be reached of a bare pair; two nodes have more on their way than a pair has.
    fn target(self) -> Option<Target> {
        (self.scope == Scope::SameNode).then(|| self.transfer.target())
    }
}
