//! Figures, what they are beside, and what they are to be.

use std::fmt::{self, Write as _};

use serde::Serialize;

/// What the rounds of a measurement gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// The best of all rounds.
    pub best: f64,
    /// The median of all rounds.
    pub median: f64,
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was measured.
    name: String,
    /// In which unit.
    unit: &'static str,
    /// The best of all rounds.
    value: f64,
    /// The median of all rounds.
    median: f64,
    /// What it is compared with.
    peer: Option<&'static str>,
    /// The peer's figure.
    peer_value: Option<f64>,
    /// Ours by the peer's.
    ratio: Option<f64>,
    /// What is to be reached.
    target: Option<Target>,
    /// Whether it is.
    met: Option<bool>,
}

/// What is to be reached.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// The figure itself is no more.
    AtMost(f64),
    /// Ours by the peer's is no more.
    RatioAtMost(f64),
    /// Ours by the peer's is less.
    RatioBelow(f64),
    /// Ours by the peer's is no less.
    RatioAtLeast(f64),
}

impl Figure {
    /// Where less is better.
    pub fn least(rounds: &[f64]) -> Self {
        let sorted = sorted(rounds);
        Self { best: sorted.first().copied().unwrap_or_default(), median: middle(&sorted) }
    }

    /// Where more is better.
    pub fn most(rounds: &[f64]) -> Self {
        let sorted = sorted(rounds);
        Self { best: sorted.last().copied().unwrap_or_default(), median: middle(&sorted) }
    }
}

fn sorted(rounds: &[f64]) -> Vec<f64> {
    let mut sorted = rounds.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn middle(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

impl Row {
    /// A figure that stands alone.
    pub fn new(name: impl Into<String>, unit: &'static str, figure: Figure) -> Self {
        let Figure { best: value, median } = figure;
        let name = name.into();
        Self { name, unit, value, median, peer: None, peer_value: None, ratio: None, target: None, met: None }
    }

    /// Beside the best of a peer's.
    pub fn beside(self, peer: &'static str, value: f64) -> Self {
        Self { peer: Some(peer), peer_value: Some(value), ratio: Some(self.value / value), ..self }
    }

    /// With what is to be reached, if anything is. Comes after [`Self::beside`] where it is about the ratio.
    pub fn target(self, target: Option<Target>) -> Self {
        let met = target.and_then(|target| target.is_met(self.value, self.ratio));
        Self { target, met, ..self }
    }
}

impl Target {
    fn is_met(self, value: f64, ratio: Option<f64>) -> Option<bool> {
        match self {
            Self::AtMost(most) => Some(value <= most),
            Self::RatioAtMost(most) => ratio.map(|ratio| ratio <= most),
            Self::RatioBelow(bound) => ratio.map(|ratio| ratio < bound),
            Self::RatioAtLeast(least) => ratio.map(|ratio| ratio >= least),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "≤ {most:.0}"),
            Self::RatioAtMost(most) => write!(f, "ratio ≤ {most:.2}"),
            Self::RatioBelow(bound) => write!(f, "ratio < {bound:.2}"),
            Self::RatioAtLeast(least) => write!(f, "ratio ≥ {least:.2}"),
        }
    }
}

/// For people.
pub(super) fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<62} {:>8} {:>8}  {:<13} {:>8} {:>6}  {}\n",
        "", "best", "median", "unit", "peer", "ratio", "target, peer"
    );
    for row in rows {
        let target = match (row.target, row.met) {
            (Some(target), Some(met)) => format!("{target} {}", if met { "met" } else { "MISSED" }),
            _ => String::new(),
        };
        let beside = [target.as_str(), row.peer.unwrap_or_default()];
        let beside: Vec<&str> = beside.into_iter().filter(|part| !part.is_empty()).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<62} {:>8} {:>8}  {:<13} {:>8} {:>6}  {}",
            row.name,
            number(row.value),
            number(row.median),
            row.unit,
            row.peer_value.map(number).unwrap_or_default(),
            row.ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
            beside.join(", "),
        );
    }
    text
}

/// Three digits say enough.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUNDS: [f64; 3] = [6.0, 4.0, 5.0];

    #[test]
    fn the_best_is_the_least_or_the_most() {
        assert_eq!(Figure::least(&ROUNDS), Figure { best: 4.0, median: 5.0 });
        assert_eq!(Figure::most(&ROUNDS), Figure { best: 6.0, median: 5.0 });
    }

    #[test]
    fn numbers_have_three_digits_or_those_of_an_integer() {
        assert_eq!([5.584, 17.25, 247.4, 352_717.0].map(number), ["5.58", "17.2", "247", "352717"]);
    }

    #[test]
    fn targets_are_about_the_figure_or_the_ratio() {
        let met =
            |target| Row::new("a row", "µs", Figure::least(&ROUNDS)).beside("a peer", 4.0).target(Some(target)).met;
        assert_eq!((met(Target::AtMost(4.0)), met(Target::AtMost(3.9))), (Some(true), Some(false)));
        assert_eq!((met(Target::RatioAtMost(1.0)), met(Target::RatioBelow(1.0))), (Some(true), Some(false)));
        assert_eq!((met(Target::RatioAtLeast(1.0)), met(Target::RatioAtLeast(1.1))), (Some(true), Some(false)));
        let alone = Row::new("a row", "µs", Figure::least(&ROUNDS)).target(Some(Target::RatioBelow(2.0)));
        assert_eq!(alone.met, None, "without a peer there is no ratio");
    }
}
