//! The RBAC rules that we ship: enough for the agent, and no more than it uses.

use std::{collections::BTreeSet, time::Duration};

use caracal_cluster::{Bed, Kinds, RBAC, Right, granted};
use caracal_lab::wait_until;

#[test]
fn the_agent_uses_every_right_that_it_is_given_and_asks_for_no_other() {
    let bed = Bed::start("rights", &Kinds::ALL).unwrap();
    bed.api().apply(include_str!("../../scenarios/every-kind.yaml")).unwrap();
    let agent = bed.follow().unwrap();
    agent.wait_until_ready().unwrap();

    let granted = granted(RBAC).unwrap();
    let used = || -> BTreeSet<Right> {
        bed.control().asked(bed.account()).unwrap().into_iter().map(|asked| asked.right).collect()
    };
    let unused = || granted.difference(&used()).cloned().collect::<Vec<_>>();
    // Servers that cannot stream lists are asked for lists, and those that can are not.
    let is_for_others =
        |right: &Right| right.verb == "list" && granted.contains(&Right { verb: "watch".to_owned(), ..right.clone() });
    let all_used = || unused().iter().all(is_for_others);
    wait_until("every right to be used", Duration::from_secs(30), all_used)
        .unwrap_or_else(|_| panic!("unused: {:#?}", unused()));

    let beyond: Vec<Right> = used().difference(&granted).cloned().collect();
    assert!(beyond.is_empty(), "not granted: {beyond:#?}");
    let asked = bed.control().asked(bed.account()).unwrap();
    let refused: Vec<_> = asked.iter().filter(|asked| [401, 403].contains(&asked.code)).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let log = agent.log();
    assert!(!log.contains("403") && !log.contains("forbidden"), "{log}");
    bed.end().unwrap();
}
