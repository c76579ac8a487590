//! How the agent is: what it still waits for, what is wrong, and which of its parts has not been heard of.
//!
//! Every loop beats ([`Health::beat`]) and says when it will again. What is wrong is said as often as it is found, and logged
//! when it is new: a loop that tries again each second may say so each second.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The same line about the same matter is logged again when it was not said for so long.
const QUIET: Duration = Duration::from_secs(60);
/// So many lines about one matter are kept.
const LINES: usize = 64;

/// What is known, shared by all parts of the agent.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// By the loop's name: when it beat last, and how long it may take to the next.
    beats: BTreeMap<&'static str, (Instant, Duration)>,
    matters: BTreeMap<String, Matter>,
}

/// Something that is as it should be, or not.
#[derive(Debug)]
struct Matter {
    weight: Weight,
    lines: Vec<String>,
    /// What was said lately, and when last.
    said: Vec<(String, Instant)>,
    /// Whether anything was logged that somebody may wait for the end of.
    is_open: bool,
}

/// What lines mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// The node is not ready without it.
    Missing,
    /// Something is wrong; what was right before holds on.
    Problem,
    /// Somebody should know.
    Remark,
}

impl Weight {
    const fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Problem => "problem",
            Self::Remark => "remark",
        }
    }
}

/// An answer to a probe: whether all is well, and why not, one line a thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whether it is.
    pub is_well: bool,
    /// In words.
    pub lines: Vec<String>,
}

impl Health {
    /// A loop is at work, and will say so again within this time.
    pub fn beat(&self, name: &'static str, within: Duration) {
        self.beat_at(name, within, Instant::now());
    }

    /// A loop has ended, as it should.
    pub fn retire(&self, name: &'static str) {
        self.lock().beats.remove(name);
    }

    /// The node is not ready: this is missing.
    pub fn missing(&self, what: &str, line: impl Into<String>) {
        self.say(Weight::Missing, what, vec![line.into()], Instant::now());
    }

    /// Something is wrong with this.
    pub fn problem(&self, what: &str, line: impl Into<String>) {
        self.problems(what, vec![line.into()]);
    }

    /// All that is wrong with this; nothing, if there is none.
    pub fn problems(&self, what: &str, lines: Vec<String>) {
        self.say(Weight::Problem, what, lines, Instant::now());
    }

    /// What somebody should know of this. It is not logged.
    pub fn remarks(&self, what: &str, lines: Vec<String>) {
        self.say(Weight::Remark, what, lines, Instant::now());
    }

    /// This is as it should be.
    pub fn clear(&self, what: &str) {
        self.problems(what, Vec::new());
    }

    /// Whether every loop is at work. One may be late by `grace`.
    #[must_use]
    pub fn alive(&self, grace: Duration) -> Report {
        self.alive_at(grace, Instant::now())
    }

    /// Whether the node is ready, and everything that is wrong.
    #[must_use]
    pub fn ready(&self) -> Report {
        let state = self.lock();
        let mut lines: Vec<(Weight, String)> = Vec::new();
        for (what, matter) in &state.matters {
            lines.extend(
                matter.lines.iter().map(|line| (matter.weight, format!("{}: {what}: {line}", matter.weight.word()))),
            );
        }
        lines.sort_by_key(|(weight, _)| *weight);
        let is_well = lines.iter().all(|(weight, _)| *weight != Weight::Missing);
        Report { is_well, lines: lines.into_iter().map(|(_, line)| line).collect() }
    }

    /// How many lines there are about each matter.
    #[must_use]
    pub fn counts(&self) -> Vec<(Weight, String, usize)> {
        let state = self.lock();
        state.matters.iter().map(|(what, matter)| (matter.weight, what.clone(), matter.lines.len())).collect()
    }

    /// A loop has beaten so long ago.
    #[cfg(test)]
    pub(super) fn beat_before(&self, name: &'static str, within: Duration, ago: Duration) {
        self.beat_at(name, within, Instant::now().checked_sub(ago).unwrap());
    }

    fn beat_at(&self, name: &'static str, within: Duration, now: Instant) {
        self.lock().beats.insert(name, (now, within));
    }

    fn alive_at(&self, grace: Duration, now: Instant) -> Report {
        let state = self.lock();
        let late = state.beats.iter().filter_map(|(name, (at, within))| {
            let silent = now.saturating_duration_since(*at);
            (silent > *within + grace).then(|| {
                let (silent, within) = (silent.as_secs(), within.as_secs());
                format!("late: {name}: not heard of for {silent} s, expected every {within} s")
            })
        });
        let lines: Vec<String> = late.collect();
        Report { is_well: lines.is_empty(), lines }
    }

    fn say(&self, weight: Weight, what: &str, mut lines: Vec<String>, now: Instant) {
        if lines.len() > LINES {
            let more = lines.len() - LINES;
            lines.truncate(LINES);
            lines.push(format!("and {more} more"));
        }
        let mut state = self.lock();
        if lines.is_empty() && !state.matters.contains_key(what) {
            return;
        }
        let matter = state.matters.entry(what.to_owned()).or_insert_with(Matter::new);
        let (news, is_over) = matter.say(weight, lines, now);
        // Whoever asks how the agent is does not wait for whoever reads its log.
        drop(state);
        for line in news {
            match weight {
                Weight::Missing => log::info!("{what}: {line}"),
                Weight::Problem => log::error!("{what}: {line}"),
                Weight::Remark => {}
            }
        }
        if is_over {
            log::info!("{what}: in order again");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing is half done when somebody panics with it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Matter {
    fn new() -> Self {
        Self { weight: Weight::Remark, lines: Vec::new(), said: Vec::new(), is_open: false }
    }

    /// Takes what is said of it now. What of it is to be logged, and whether the end of what was.
    fn say(&mut self, weight: Weight, lines: Vec<String>, now: Instant) -> (Vec<String>, bool) {
        self.said.retain(|(_, at)| now.saturating_duration_since(*at) < QUIET);
        let news: Vec<String> = lines.iter().filter(|line| self.is_new(line, now)).cloned().collect();
        self.is_open |= weight == Weight::Problem && !news.is_empty();
        let is_over = lines.is_empty() && std::mem::take(&mut self.is_open);
        (self.weight, self.lines) = (weight, lines);
        (news, is_over)
    }

    /// Whether nobody has been told of it lately; from now on somebody has.
    fn is_new(&mut self, line: &str, now: Instant) -> bool {
        if let Some((_, at)) = self.said.iter_mut().find(|(said, _)| said == line) {
            *at = now;
            return false;
        }
        self.said.push((line.to_owned(), now));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_loop_that_is_late_is_named_and_forgiven_when_it_goes_on() {
        let (health, start) = (Health::default(), Instant::now());
        assert_eq!(health.alive_at(SECOND, start), Report { is_well: true, lines: Vec::new() });
        health.beat_at("upkeep", 5 * SECOND, start);
        health.beat_at("NICs", 30 * SECOND, start);
        assert!(health.alive_at(SECOND, start + 6 * SECOND).is_well);
        let report = health.alive_at(SECOND, start + 7 * SECOND);
        assert_eq!(report.lines, ["late: upkeep: not heard of for 7 s, expected every 5 s"]);
        assert!(!report.is_well && health.alive_at(2 * SECOND, start + 7 * SECOND).is_well);
        assert_eq!(health.alive_at(SECOND, start + 32 * SECOND).lines.len(), 2);
        health.beat_at("upkeep", 5 * SECOND, start + 32 * SECOND);
        health.retire("NICs");
        assert!(health.alive_at(SECOND, start + 33 * SECOND).is_well);
    }

    #[test]
    fn a_node_is_ready_when_nothing_is_missing_whatever_else_is_wrong() {
        let health = Health::default();
        health.missing("programs", "not loaded yet");
        health.missing("manifests", "not read yet");
        health.remarks("restart", vec!["nic waits".to_owned()]);
        health.problem("configuration", "a.yaml:1: nic: it is empty");
        let report = health.ready();
        let expected = [
            "missing: manifests: not read yet",
            "missing: programs: not loaded yet",
            "problem: configuration: a.yaml:1: nic: it is empty",
            "remark: restart: nic waits",
        ];
        assert_eq!((report.is_well, &report.lines[..]), (false, &expected.map(str::to_owned)[..]));
        health.clear("programs");
        assert!(!health.ready().is_well);
        health.clear("manifests");
        assert_eq!((health.ready().is_well, health.ready().lines.len()), (true, 2));
        health.clear("configuration");
        health.remarks("restart", Vec::new());
        assert_eq!(health.ready(), Report { is_well: true, lines: Vec::new() });
    }

    #[test]
    fn what_is_said_each_second_is_logged_once_and_again_when_it_was_away_for_a_minute() {
        let start = Instant::now();
        let mut matter = Matter::new();
        let mut logged = Vec::new();
        let mut say = |line: Option<&str>, second: u32| {
            if matter
                .say(Weight::Problem, line.map(str::to_owned).into_iter().collect(), start + second * SECOND)
                .0
                .len()
                == 1
            {
                logged.push((line.unwrap_or_default().to_owned(), second));
            }
        };
        (0..300).for_each(|second| say(Some("no room"), second));
        // To and fro, and away in between.
        for second in 300..600 {
            say([Some("no room"), None, Some("no such device")][second as usize % 3], second);
        }
        say(None, 600);
        say(Some("no room"), 700);
        let expected = [("no room", 0), ("no such device", 302), ("no room", 700)];
        assert_eq!(logged, expected.map(|(line, second)| (line.to_owned(), second)));
    }

    #[test]
    fn that_something_is_in_order_again_is_told_once_if_anybody_was_told_that_it_was_not() {
        let (start, mut ends) = (Instant::now(), 0);
        let mut matter = Matter::new();
        for second in 0..30 {
            let lines = if second % 2 == 0 { vec!["no room".to_owned()] } else { Vec::new() };
            ends += u32::from(matter.say(Weight::Problem, lines, start + second * SECOND).1);
        }
        assert_eq!(ends, 1);
    }

    #[test]
    fn no_matter_takes_more_room_than_it_should() {
        let health = Health::default();
        health.problems("routes", (0..1000).map(|n| n.to_string()).collect());
        assert_eq!(health.ready().lines.len(), LINES + 1);
        assert_eq!(health.ready().lines[LINES], "problem: routes: and 936 more");
    }
}
