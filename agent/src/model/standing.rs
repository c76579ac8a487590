//! How much of what there is, is known.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Kind, Name, Origin};

/// Which kinds were told whole, and what could not be read.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Standing {
    synced: BTreeSet<Kind>,
    unread: BTreeMap<Origin, String>,
    #[serde(skip)]
    rounds: BTreeMap<Kind, Round>,
}

/// What was told since the beginning.
#[derive(Clone, Debug, Default, PartialEq)]
struct Round {
    seen: BTreeSet<Name>,
    /// There is something without a name among it.
    has_nameless: bool,
}

impl Standing {
    /// Whether all objects of the kind were told once.
    #[must_use]
    pub fn has_synced(&self, kind: Kind) -> bool {
        self.synced.contains(&kind)
    }

    /// Whether they were, and nothing that may say more of the kind is unread.
    #[must_use]
    pub fn is_whole(&self, kind: Kind) -> bool {
        let concerns = |origin: &Origin| match origin {
            Origin::Object(other, _) | Origin::Kind(other) => *other == kind,
            Origin::File(_) => true,
            Origin::Watch(_) => false,
        };
        self.has_synced(kind) && !self.unread.keys().any(concerns)
    }

    /// The kinds that were not told yet.
    pub fn missing(&self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(|kind| !self.has_synced(*kind))
    }

    /// What could not be read, and why.
    #[must_use]
    pub fn unread(&self) -> &BTreeMap<Origin, String> {
        &self.unread
    }

    pub(super) fn begin(&mut self, kind: Kind) {
        self.rounds.insert(kind, Round::default());
    }

    pub(super) fn seen(&mut self, kind: Kind, name: &Name) {
        if let Some(round) = self.rounds.get_mut(&kind) {
            round.seen.insert(name.clone());
        }
    }

    pub(super) fn read(&mut self, origin: &Origin) {
        if !self.unread.is_empty() {
            self.unread.remove(origin);
        }
    }

    pub(super) fn unreadable(&mut self, origin: Origin, error: String) {
        match &origin {
            Origin::Object(kind, name) => self.seen(*kind, name),
            Origin::Kind(kind) => {
                if let Some(round) = self.rounds.get_mut(kind) {
                    round.has_nameless = true;
                }
            }
            Origin::File(_) | Origin::Watch(_) => {}
        }
        self.unread.insert(origin, error);
    }

    /// Ends a round. What was seen in it, unless something else might be there too.
    pub(super) fn whole(&mut self, kind: Kind) -> Option<BTreeSet<Name>> {
        let Round { seen, has_nameless } = self.rounds.remove(&kind)?;
        self.synced.insert(kind);
        if has_nameless {
            return None;
        }
        self.unread.retain(|origin, _| match origin {
            Origin::Object(other, name) if *other == kind => seen.contains(name),
            Origin::Kind(other) => *other != kind,
            Origin::Object(..) | Origin::File(_) | Origin::Watch(_) => true,
        });
        Some(seen)
    }
}
