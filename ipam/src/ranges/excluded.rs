//! Addresses of a range that are never handed out. What is left is computed, not walked: half of a /64 may be excluded.

use std::ops::RangeInclusive;

use ipnetwork::IpNetwork;

use super::bits;

/// Excluded addresses as numbers: spans in order that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Excluded(Vec<RangeInclusive<u128>>);

impl Excluded {
    /// These networks and what is excluded already.
    pub(super) fn with(self, networks: &[IpNetwork]) -> Self {
        let added = networks.iter().map(|network| bits(network.network())..=bits(network.broadcast()));
        let mut spans: Vec<_> = self.0.into_iter().chain(added).collect();
        spans.sort_by_key(|span| *span.start());
        let mut merged: Vec<RangeInclusive<u128>> = Vec::with_capacity(spans.len());
        for span in spans {
            match merged.last_mut() {
                Some(last) if *span.start() <= last.end().saturating_add(1) => {
                    *last = *last.start()..=*span.end().max(last.end());
                }
                _ => merged.push(span),
            }
        }
        Self(merged)
    }

    pub(super) fn contains(&self, bits: u128) -> bool {
        self.0.iter().any(|span| span.contains(&bits))
    }

    /// What of `span` is not excluded, in order.
    pub(super) fn rest(&self, span: &RangeInclusive<u128>) -> Vec<RangeInclusive<u128>> {
        let mut rest = Vec::new();
        let mut from = Some(*span.start());
        for excluded in
            self.0.iter().filter(|excluded| excluded.start() <= span.end() && excluded.end() >= span.start())
        {
            if let (Some(start), Some(end)) = (from, excluded.start().checked_sub(1)) {
                rest.push(start..=end);
            }
            from = excluded.end().checked_add(1);
        }
        rest.extend(from.map(|start| start..=*span.end()));
        rest.retain(|span| !span.is_empty());
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excluded(networks: &[&str]) -> Excluded {
        let networks: Vec<_> = networks.iter().map(|network| network.parse().unwrap()).collect();
        Excluded::default().with(&networks)
    }

    fn pairs(spans: &[RangeInclusive<u128>]) -> Vec<(u128, u128)> {
        spans.iter().map(|span| (*span.start(), *span.end())).collect()
    }

    fn rest(excluded: &Excluded, start: u128, end: u128) -> Vec<(u128, u128)> {
        pairs(&excluded.rest(&(start..=end)))
    }

    #[test]
    fn networks_become_spans_in_order() {
        let excluded = excluded(&["::30/124", "::10/128", "::11/128", "::38/125", "::0/127"]);
        assert_eq!(pairs(&excluded.0), [(0, 1), (0x10, 0x11), (0x30, 0x3f)]);
        assert!(excluded.contains(0x35) && !excluded.contains(0x12));
    }

    #[test]
    fn the_rest_is_what_lies_between() {
        let excluded = excluded(&["::/127", "::10/128", "::30/124"]);
        assert_eq!(rest(&excluded, 0, 0x100), [(2, 0xf), (0x11, 0x2f), (0x40, 0x100)]);
        assert_eq!(rest(&excluded, 0x10, 0x10), []);
        assert_eq!(rest(&excluded, 0x10, 0x35), [(0x11, 0x2f)]);
        assert_eq!(rest(&excluded, 0x38, 0x50), [(0x40, 0x50)]);
        assert_eq!(rest(&excluded, 0x41, 0x50), [(0x41, 0x50)]);
    }

    #[test]
    fn all_addresses_end_where_they_end() {
        let top = excluded(&["8000::/1"]);
        assert_eq!(rest(&top, 0, u128::MAX), [(0, u128::MAX >> 1)]);
        assert!(top.contains(u128::MAX));
        assert_eq!(rest(&top.with(&["::/1".parse().unwrap()]), 0, u128::MAX), []);
    }
}
