//! API servers that die, forget, and are reached by bad lines: what the agent knew stays in force, and what changed
//! meanwhile arrives.

use std::{fmt::Write as _, time::Duration};

use caracal_cluster::{Bed, Line, PIECE, Right};
use caracal_lab::wait_until;

/// The agent tries again within half a minute at the longest.
const RETRIED: Duration = Duration::from_secs(60);

/// A node with a range of its own for pods, and its route.
fn node(number: u8) -> (String, String) {
    let range = format!("10.244.{number}.0/24");
    let yaml = format!(
        "apiVersion: v1\nkind: Node\nmetadata: {{name: n{number}}}\nspec: {{podCIDR: {range}, podCIDRs: [{range}]}}\n\
         status: {{addresses: [{{type: InternalIP, address: 172.31.0.{}}}]}}\n",
        10 + number
    );
    (yaml, range)
}

fn nodes(numbers: std::ops::RangeInclusive<u8>) -> String {
    numbers.fold(String::new(), |mut all, number| {
        // Writing to a string cannot fail.
        let _ = write!(all, "---\n{}", node(number).0);
        all
    })
}

#[test]
fn a_killed_api_server_changes_nothing_and_a_new_one_is_followed() {
    let mut bed = Bed::start("killed", &[]).unwrap();
    let [(two, to_two), (three, to_three)] = [2, 3].map(node);
    bed.api().apply(&two).unwrap();
    let agent = bed.follow().unwrap();
    agent.wait_for_route(&to_two, true).unwrap();
    let routes = agent.routes().unwrap();

    bed.control_mut().kill_api_server(0).unwrap();
    wait_until("the agent to notice", RETRIED, || agent.log().contains("no answer")).unwrap();
    assert_eq!(agent.routes().unwrap(), routes);

    bed.control_mut().start_api_server(0).unwrap();
    bed.api().apply(&three).unwrap();
    bed.api().delete(&two).unwrap();
    agent.wait_for_route(&to_three, true).unwrap();
    agent.wait_for_route(&to_two, false).unwrap();
    bed.end().unwrap();
}

#[test]
fn what_changed_while_a_watch_expired_arrives_and_what_went_goes() {
    let mut bed = Bed::start("expired", &[]).unwrap();
    let line = bed.control().proxy(0).unwrap();
    bed.api().apply(&nodes(2..=4)).unwrap();
    let agent = bed.follow_by(&line).unwrap();
    agent.wait_for_route(&node(4).1, true).unwrap();

    line.set(Line::Refusing);
    line.cut();
    bed.api().delete(&node(2).0).unwrap();
    bed.api().apply(&node(5).0).unwrap();
    bed.control().compact().unwrap();
    // It remembers versions that etcd has forgotten.
    bed.control_mut().restart_api_server(0).unwrap();
    let before = lists(&bed);
    line.set(Line::Good);
    agent.wait_for_route(&node(5).1, true).unwrap();
    agent.wait_for_route(&node(2).1, false).unwrap();
    assert!(agent.routes().unwrap().contains(&node(3).1));
    // A watch that went on where it ended would have told the same.
    assert!(lists(&bed) > before);
    bed.end().unwrap();
}

/// How often all nodes were asked for, in one of the two ways.
fn lists(bed: &Bed) -> usize {
    let asked = bed.control().asked(bed.account()).unwrap();
    let is_list = |right: &Right, uri: &str| right.verb == "list" || uri.contains("sendInitialEvents=true");
    asked.iter().filter(|it| it.right.resource == "nodes" && is_list(&it.right, &it.uri)).count()
}

#[test]
fn a_slow_line_only_takes_longer() {
    let bed = Bed::start("slow", &[]).unwrap();
    let line = bed.control().proxy(0).unwrap();
    bed.api().apply(&nodes(2..=200)).unwrap();
    line.set(Line::Slow(Duration::from_millis(100)));
    let agent = bed.follow_by(&line).unwrap();
    agent.wait_for_route(&node(200).1, true).unwrap();
    assert_eq!(agent.routes().unwrap().lines().count(), 199);
    bed.api().delete(&node(2).0).unwrap();
    agent.wait_for_route(&node(2).1, false).unwrap();
    bed.end().unwrap();
}

#[test]
fn a_line_that_flaps_loses_no_change() {
    let bed = Bed::start("flaps", &[]).unwrap();
    let line = bed.control().proxy(0).unwrap();
    let agent = bed.follow_by(&line).unwrap();
    for number in 2..=20 {
        bed.api().apply(&node(number).0).unwrap();
        line.cut();
    }
    for number in 2..=10 {
        line.set(Line::Refusing);
        line.cut();
        bed.api().delete(&node(number).0).unwrap();
        line.set(Line::Good);
    }
    agent.wait_for_route(&node(20).1, true).unwrap();
    agent.wait_for_route(&node(10).1, false).unwrap();
    wait_until("ten routes", RETRIED, || agent.routes().unwrap().lines().count() == 10).unwrap();
    bed.end().unwrap();
}

#[test]
fn what_was_told_half_is_not_believed() {
    let bed = Bed::start("half", &[]).unwrap();
    let line = bed.control().proxy(0).unwrap();
    bed.api().apply(&nodes(2..=100)).unwrap();
    let agent = bed.follow_by(&line).unwrap();
    agent.wait_for_route(&node(100).1, true).unwrap();

    // Nobody can go on from here, so that it has to ask for all of them.
    line.set(Line::EndsAfter(2 * PIECE));
    bed.api().delete(&node(2).0).unwrap();
    line.cut();
    let before = line.accepted();
    let tried = || line.accepted() >= before + 3;
    wait_until("the agent to try some times", RETRIED, tried).unwrap();
    let routes = agent.routes().unwrap();
    for number in 3..=100 {
        let to = format!("{} ", node(number).1);
        assert!(routes.contains(&to), "no route to {to} in\n{routes}");
    }

    line.set(Line::Good);
    line.cut();
    agent.wait_for_route(&node(2).1, false).unwrap();
    assert_eq!(agent.routes().unwrap().lines().count(), 98);
    bed.end().unwrap();
}

#[test]
fn a_line_that_stalls_and_comes_back_has_told_everything() {
    let bed = Bed::start("stalls", &[]).unwrap();
    let line = bed.control().proxy(0).unwrap();
    bed.api().apply(&node(2).0).unwrap();
    let agent = bed.follow_by(&line).unwrap();
    agent.wait_for_route(&node(2).1, true).unwrap();
    line.set(Line::Stalled);
    bed.api().apply(&node(3).0).unwrap();
    bed.api().delete(&node(2).0).unwrap();
    let routes = agent.routes().unwrap();
    assert!(routes.contains(&node(2).1) && !routes.contains(&node(3).1), "{routes}");
    line.set(Line::Good);
    agent.wait_for_route(&node(3).1, true).unwrap();
    agent.wait_for_route(&node(2).1, false).unwrap();
    bed.end().unwrap();
}

#[test]
fn another_api_server_is_asked_where_one_is_dead() {
    let mut bed = Bed::start("several", &[]).unwrap();
    let other = bed.control_mut().add_api_server().unwrap();
    let dead = bed.control().proxy(0).unwrap();
    dead.set(Line::Refusing);
    let urls = [bed.control().url_by(&dead), bed.control().url(0), bed.control().url(other)];
    bed.api().apply(&node(2).0).unwrap();
    let agent = bed.follow_at(&urls).unwrap();
    agent.wait_for_route(&node(2).1, true).unwrap();

    // The one that it has found dies as well.
    let api = bed.control().api_of(other).unwrap();
    bed.control_mut().kill_api_server(0).unwrap();
    api.apply(&node(3).0).unwrap();
    agent.wait_for_route(&node(3).1, true).unwrap();
    bed.end().unwrap();
}
