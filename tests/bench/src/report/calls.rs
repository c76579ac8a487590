//! Calls of plugins beside their peers'.

use std::fmt::Write as _;

use serde::Serialize;

/// How long most calls took, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Quantiles {
    /// How many calls there were.
    pub calls: usize,
    /// Half of them took less.
    pub p50: f64,
    /// All but one of a hundred did.
    pub p99: f64,
}

/// A verb, by us and by a peer.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    name: String,
    verb: &'static str,
    ours_ms: Quantiles,
    peer_ms: Quantiles,
    /// Who the peer is.
    peer: &'static str,
    /// The peer's median by ours.
    times_faster: f64,
    /// What that is to be.
    target: Option<f64>,
    /// Whether it is.
    met: Option<bool>,
}

impl Quantiles {
    /// Of times in any order.
    pub fn of(times_ms: &[f64]) -> Self {
        let mut sorted = times_ms.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100);
            sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
        };
        Self { calls: sorted.len(), p50: at(50), p99: at(99) }
    }

    /// Without what the calls would take anyway.
    pub fn beyond(self, base_ms: f64) -> Self {
        Self { p50: self.p50 - base_ms, p99: self.p99 - base_ms, ..self }
    }
}

impl Call {
    /// Compares.
    pub fn new(
        name: String,
        verb: &'static str,
        ours_ms: Quantiles,
        peer_ms: Quantiles,
        peer: &'static str,
        target: Option<f64>,
    ) -> Self {
        let times_faster = peer_ms.p50 / ours_ms.p50;
        let met = target.map(|target| times_faster >= target);
        Self { name, verb, ours_ms, peer_ms, peer, times_faster, target, met }
    }
}

/// For people.
pub(super) fn table(calls: &[Call]) -> String {
    let mut text = format!(
        "{:<31} {:<4} {:>8} {:>8} {:>10} {:>8} {:>8}  {}\n",
        "milliseconds", "", "p50", "p99", "peer p50", "p99", "faster", "target, peer"
    );
    for call in calls {
        let Call { name, verb, ours_ms, peer_ms, peer, times_faster, .. } = call;
        let target = match (call.target, call.met) {
            (Some(target), Some(met)) => format!("≥ {target:.0}× {}, ", if met { "met" } else { "MISSED" }),
            _ => String::new(),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{name:<31} {verb:<4} {:>8.1} {:>8.1} {:>10.1} {:>8.1} {times_faster:>7.1}×  {target}{peer} ({}, {} calls)",
            ours_ms.p50, ours_ms.p99, peer_ms.p50, peer_ms.p99, ours_ms.calls, peer_ms.calls,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_calls_that_were_made() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let Quantiles { calls, p50, p99 } = Quantiles::of(&hundred);
        assert_eq!((calls, p50.to_bits(), p99.to_bits()), (100, 50f64.to_bits(), 99f64.to_bits()));
        let few = Quantiles::of(&[3.0, 1.0, 2.0]);
        assert_eq!((few.p50.to_bits(), few.p99.to_bits()), (2f64.to_bits(), 3f64.to_bits()));
    }

    #[test]
    fn faster_is_the_peers_time_by_ours() {
        let of = |ms: f64| Quantiles::of(&[ms]);
        let call = |peer: f64| Call::new(String::new(), "ADD", of(2.0), of(peer), "", Some(3.0));
        assert_eq!((call(6.5).met, call(5.5).met), (Some(true), Some(false)));
        assert_eq!(of(5.0).beyond(2.0).p50.to_bits(), 3f64.to_bits());
    }
}
