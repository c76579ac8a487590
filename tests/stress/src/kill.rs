//! The plugin killed at every system call of ADD and of DEL, on a node with room for one more pod.
//!
//! After each kill a runtime does one of the things that it may do, and then the node must be as it was. That the
//! address is free again shows in the next ADD: the ranges have one for the pod, and one for its neighbour.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    ground::{Ground, addresses},
    plugin::{Conf, result_of, succeed},
    program::Outcome,
    tracer::{Forks, Kill},
};

/// More calls than any plugin makes.
const LAST: usize = 100_000;

/// The code of an ADD that finds the attachment complete.
const ATTACHED: u64 = 100;

const POD: &str = "pod";
const NEIGHBOUR: &str = "neighbour";

/// What to do on a node with the namespaces `pod` and `neighbour`.
#[derive(Debug, Deserialize)]
pub struct Work {
    /// The plugin's configuration.
    conf: Conf,
    /// That of the plugin before it in the list.
    vendor: Option<Conf>,
    /// Whether a data plane is loaded.
    programs: bool,
    /// What may follow a kill.
    recoveries: Vec<Recovery>,
    /// Every recovery after each kill, instead of one after the other.
    all_recoveries: bool,
    /// The first call to kill at, and how far it is to the next.
    first: usize,
    step: usize,
}

/// What a runtime does when the plugin has died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Recovery {
    /// DEL.
    Del,
    /// The same ADD again, and DEL later.
    Add,
    /// GC, without having heard of the attachment.
    Gc,
}

/// What was done.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Kills of ADD.
    pub add: Tally,
    /// Kills of DEL.
    pub del: Tally,
}

/// The kills of one verb.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// How often it was killed.
    pub points: usize,
    /// The last call that it was killed before.
    pub last: usize,
    /// ADDs after a kill, and how many of them found the attachment complete.
    pub retries: usize,
    /// See `retries`.
    pub attached: usize,
    ended: bool,
}

/// What follows a kill, and whom it hits.
#[derive(Clone, Copy, Debug)]
struct Plan {
    recovery: Recovery,
    forks: Forks,
}

struct Killer<'a> {
    work: &'a Work,
    ground: Ground,
    conf: Conf,
    peers: Vec<IpAddr>,
}

/// Kills at every call that `work` names.
pub fn run(work: &Work) -> Result<Report> {
    let killer = Killer::prepare(work)?;
    let mut report = Report::default();
    for (round, call) in (work.first..LAST).step_by(work.step).enumerate() {
        for plan in work.plans(round) {
            killer.kill("ADD", call, plan, &mut report.add)?;
            killer.add_and_talk().with_context(|| format!("ADD after one was killed before its call {call}"))?;
            killer.kill("DEL", call, plan, &mut report.del)?;
        }
        if report.add.ended && report.del.ended {
            return Ok(report);
        }
    }
    Ok(report)
}

impl Work {
    /// What to do in a round: one combination, of which all have their turn, or all of them.
    fn plans(&self, round: usize) -> Vec<Plan> {
        let forks = [Forks::DieToo, Forks::LiveOn];
        let all = forks.into_iter().flat_map(|forks| self.recoveries.iter().map(move |r| Plan { recovery: *r, forks }));
        let all: Vec<_> = all.collect();
        if self.all_recoveries {
            return all;
        }
        let turn = round % all.len().max(1);
        all.into_iter().skip(turn).take(1).collect()
    }
}

impl<'a> Killer<'a> {
    fn prepare(work: &'a Work) -> Result<Self> {
        let mut ground = Ground::new(&[POD.to_owned(), NEIGHBOUR.to_owned()], work.programs)?;
        let mut conf = work.conf.clone();
        let mut of_neighbour = conf.clone();
        if let Some(vendor) = &work.vendor {
            conf = conf.after(succeed(&vendor.call("ADD", POD))?);
            of_neighbour = of_neighbour.after(succeed(&vendor.call("ADD", NEIGHBOUR))?);
        }
        let peers = addresses(&succeed(&of_neighbour.call("ADD", NEIGHBOUR))?);
        ground.remember()?;
        Ok(Self { work, ground, conf, peers })
    }

    /// Kills the plugin and cleans up, unless it came to its end before `call` already.
    fn kill(&self, verb: &str, call: usize, plan: Plan, tally: &mut Tally) -> Result<()> {
        if tally.ended {
            return self.del();
        }
        let program = self.conf.call(verb, POD);
        match program.run_and_kill(Kill { before_call: call, forks: plan.forks })? {
            Outcome::Ended(output) => {
                result_of(&program, &output)?;
                tally.ended = true;
                self.del()
            }
            Outcome::Killed { before } => {
                tally.points += 1;
                tally.last = call;
                let recovered = self.recover(plan.recovery, tally).and_then(|()| self.ground.expect_unchanged());
                recovered.with_context(|| format!("{verb} killed before its call {call} (number {before}), {plan:?}"))
            }
        }
    }

    fn recover(&self, recovery: Recovery, tally: &mut Tally) -> Result<()> {
        match recovery {
            Recovery::Del => succeed(&self.conf.call("DEL", POD)).map(drop),
            Recovery::Add => {
                tally.retries += 1;
                tally.attached += usize::from(!self.add_again()?);
                succeed(&self.conf.call("DEL", POD)).map(drop)
            }
            Recovery::Gc => succeed(&self.work.conf.gc(&[NEIGHBOUR])).map(drop),
        }
    }

    /// ADD once more; false if it says that nothing was left to do.
    fn add_again(&self) -> Result<bool> {
        let again = self.conf.call("ADD", POD);
        let output = again.start()?.wait_with_output()?;
        let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        if said["code"].as_u64() == Some(ATTACHED) {
            return Ok(false);
        }
        result_of(&again, &output).context("ADD again").map(|_| true)
    }

    fn add_and_talk(&self) -> Result<()> {
        succeed(&self.conf.call("ADD", POD))?;
        self.peers.iter().try_for_each(|peer| self.ground.talk(*peer))?;
        let has_flows = self.ground.has_flows()?;
        ensure!(has_flows == self.ground.has_programs(), "the data plane has seen what it should have: {has_flows}");
        Ok(())
    }

    /// Whatever is there goes.
    fn del(&self) -> Result<()> {
        succeed(&self.conf.call("DEL", POD))?;
        self.ground.expect_unchanged().context("after DEL")
    }
}
