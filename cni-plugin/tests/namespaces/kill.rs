//! The plugin killed somewhere in the middle: what comes after ends clean.

use std::{
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

use crate::{
    dataplane::{guarded, load},
    list::{List, ours, vendor},
    node::{Node, Pod, conf, start},
};

const ROUNDS: u32 = 40;

/// Kills a call of `verb` after `delay`.
fn killed(verb: &str, pod: &Pod, conf: &Value, delay: Duration) {
    let started = Instant::now();
    let mut child = start(verb, &pod.env("eth0"), &conf.to_string());
    // A sleep is too coarse for delays that shall fall between system calls.
    while started.elapsed() < delay {
        thread::yield_now();
    }
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGKILL).unwrap();
    child.wait().unwrap();
}

/// How long ADD and DEL take at best.
fn durations(pod: &Pod, conf: &Value) -> (Duration, Duration) {
    let time = |verb| {
        let started = Instant::now();
        pod.call(verb, conf).ok();
        started.elapsed()
    };
    let times = (0..8).map(|_| (time("ADD"), time("DEL")));
    times.reduce(|one, other| (one.0.min(other.0), one.1.min(other.1))).unwrap()
}

#[test]
fn add_killed_then_del_leaves_nothing() {
    let node = Node::enter();
    let conf = conf("1.1.0", &["10.1.0.0/24", "fd00::/64"]);
    let pod = node.pod("a");
    let (whole, _) = durations(&pod, &conf);
    for round in 0..ROUNDS {
        killed("ADD", &pod, &conf, whole * round / ROUNDS);
        pod.call("DEL", &conf).ok();
        assert_eq!(node.remains(), [] as [String; 0], "round {round}");
        assert_eq!(pod.link("eth0"), None);
    }
}

#[test]
fn add_killed_can_be_repeated() {
    let node = Node::enter();
    let conf = conf("1.1.0", &["10.1.0.0/24", "fd00::/64"]);
    let pod = node.pod("a");
    let (whole, _) = durations(&pod, &conf);
    let mut completed = 0;
    for round in 0..ROUNDS {
        killed("ADD", &pod, &conf, whole * round / ROUNDS);
        let answer = pod.call("ADD", &conf);
        // The kill came after all was done.
        if answer.exit != 0 {
            assert_eq!(answer.error().0, 100);
            completed += 1;
        }
        pod.call("DEL", &conf).ok();
        assert_eq!(node.remains(), [] as [String; 0], "round {round}");
    }
    assert!(completed < ROUNDS, "no kill came in time to mean anything");
}

#[test]
fn del_killed_is_finished_by_the_next() {
    let node = Node::enter();
    let conf = conf("1.1.0", &["10.1.0.0/24", "fd00::/64"]);
    let pod = node.pod("a");
    let (_, whole) = durations(&pod, &conf);
    for round in 0..ROUNDS {
        pod.call("ADD", &conf).ok();
        killed("DEL", &pod, &conf, whole * round / ROUNDS);
        pod.call("DEL", &conf).ok();
        assert_eq!(node.remains(), [] as [String; 0], "round {round}");
    }
}

#[test]
fn chained_add_killed_then_del_leaves_nothing() {
    let node = Node::enter();
    let pinned = load();
    let list = List { version: "1.0.0", plugins: vec![vendor("ptp", &["10.1.0.0/24", "fd00::/64"]), ours()] };
    let pod = node.pod("a");
    let mut conf = list.plugins[1].clone();
    conf["prevResult"] = list.call("ADD", &pod, &list.plugins[0], None).ok();
    conf["cniVersion"] = json!("1.0.0");
    conf["name"] = json!("net");
    let (whole, _) = durations(&pod, &conf);
    for round in 0..ROUNDS {
        killed("ADD", &pod, &conf, whole * round / ROUNDS);
        if round % 2 == 0 {
            assert_eq!(pod.call("ADD", &conf).ok(), conf["prevResult"], "round {round}");
            assert_eq!(pinned.endpoints().unwrap().len(), 2);
        }
        pod.call("DEL", &conf).ok();
        assert_eq!(pinned.endpoints().unwrap(), [], "round {round}");
        assert_eq!(guarded(), [].into());
        assert!(pod.link("eth0").is_some());
    }
}
