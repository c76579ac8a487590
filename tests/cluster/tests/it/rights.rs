//! The RBAC rules that we ship: enough for the agent, and no more than it uses.

use std::{collections::BTreeSet, time::Duration};

use caracal_cluster::{Bed, Kinds, RBAC, Right, granted};
use caracal_lab::wait_until;

/// A server that cannot stream lists: it is asked for lists first, and watched then.
const NO_STREAMS: &[&str] = &["--feature-gates=WatchList=false"];

#[test]
fn the_agent_uses_every_right_that_it_is_given_and_asks_for_no_other() {
    // What Calico stores is of interest where its API is not installed.
    let beside_calico = used("rights", &[Kinds::CALICO, Kinds::CALICO_OPERATOR, Kinds::CLUSTER_POLICY]);
    let stored = used("stored-rights", &[Kinds::CALICO_STORED]);
    let used: BTreeSet<Right> = beside_calico.union(&stored).cloned().collect();
    let granted = granted(RBAC).unwrap();
    let unused: Vec<&Right> = granted.difference(&used).collect();
    let beyond: Vec<&Right> = used.difference(&granted).collect();
    assert!(unused.is_empty() && beyond.is_empty(), "never used: {unused:#?}\nnot granted: {beyond:#?}");
}

/// The rights that an agent uses in a cluster of these kinds. None of them is refused.
fn used(name: &str, kinds: &[Kinds]) -> BTreeSet<Right> {
    let bed = Bed::start_with(name, kinds, NO_STREAMS).unwrap();
    let agent = bed.follow().unwrap();
    agent.wait_until_ready().unwrap();
    let asked = || bed.control().asked(bed.account()).unwrap();
    let allowed = |verb: &str| -> BTreeSet<(String, String)> {
        let of_verb = asked().into_iter().filter(|asked| asked.right.verb == verb && asked.code == 200);
        of_verb.map(|asked| (asked.right.group, asked.right.resource)).collect()
    };
    let all_watched = || allowed("watch") == allowed("list");
    wait_until("what was listed to be watched", Duration::from_secs(30), all_watched).unwrap();
    let asked = asked();
    let refused: Vec<_> = asked.iter().filter(|asked| [401, 403].contains(&asked.code)).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let log = agent.log();
    assert!(!log.contains("refuses") && !log.contains("forbidden"), "{log}");
    bed.end().unwrap();
    asked.into_iter().map(|asked| asked.right).collect()
}
