//! Removing both directions of a flow, unless a packet comes in between.

use caracal_abi::{Address, Flow, FlowKey};

use crate::{Entry, Error, Flows, Place};

/// One direction of a flow, as it was read.
pub(super) struct Half<A> {
    pub(super) place: Place,
    pub(super) key: FlowKey<A>,
    pub(super) flow: Flow<A>,
}

/// What has become of a flow that was to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removal {
    /// It is not there any more.
    Done,
    /// A packet came: it is there as before.
    PutBack,
    /// It was not where it had been: others have removed it, or it has moved over.
    Gone,
}

impl<A: Address> Half<A> {
    /// The other direction of a flow. What is under its key may be another flow's, whose sender got the same tuple since.
    pub(super) fn answering(flows: &Flows<A>, one: &Self) -> Result<Option<Self>, Error> {
        let key = one.flow.answer(&one.key);
        if key == one.key {
            return Ok(None);
        }
        let other = flows.find(&key)?.map(|(place, flow)| Self { place, key, flow });
        Ok(other.filter(|other| other.flow.answer(&key) == one.key))
    }

    /// How sure it is that a packet of this direction that finds nothing is decided as before: the answers' place is kept
    /// for those who ask. So the answers go last and are back first.
    fn asks(&self) -> u8 {
        if self.flow.has(Flow::<A>::MASQUERADED) {
            2
        } else {
            u8::from(self.flow.has(Flow::<A>::TRANSLATED) && self.flow.translation.dst != self.key.dst)
        }
    }
}

/// Removes both directions, which are still as they were read.
///
/// The kernel removes and reads one entry at once, so a packet that any program has noted before is seen here, and the flow put
/// back unless it was decided anew meanwhile. Two moments remain. A program that has found the entry before it is removed and
/// writes to it afterwards is not seen: its packet goes the right way, and the next one is decided as the first of a flow.
/// And while one direction is out, which takes a system call, its packets are decided so, too.
pub(super) fn remove<A: Address>(flows: &mut Flows<A>, one: Half<A>, other: Option<Half<A>>) -> Result<Removal, Error> {
    let mut halves: Vec<Half<A>> = [Some(one), other].into_iter().flatten().collect();
    halves.sort_by_key(|half| std::cmp::Reverse(half.asks()));
    let mut taken: Vec<(Place, Vec<Entry<A>>)> = Vec::new();
    for half in &halves {
        if taken.iter().flat_map(|(_, entries)| entries).any(|(key, _)| *key == half.key) {
            // It came with the other.
            continue;
        }
        let entries = flows.take(half.place, &half.key)?;
        if entries.is_empty() {
            if taken.is_empty() {
                return Ok(Removal::Gone);
            }
            // Removed by others, which is what we want; or moved over, and then both directions were written again.
            continue;
        }
        let judged = |key: &FlowKey<A>| halves.iter().find(|half| half.key == *key);
        let is_changed = entries.iter().any(|(key, flow)| judged(key).is_some_and(|half| half.flow != *flow));
        taken.push((half.place, entries));
        if is_changed {
            return put_back(flows, &taken);
        }
    }
    Ok(Removal::Done)
}

fn put_back<A: Address>(flows: &mut Flows<A>, taken: &[(Place, Vec<Entry<A>>)]) -> Result<Removal, Error> {
    for (place, entries) in taken.iter().rev() {
        let mut missing = Vec::new();
        for (key, flow) in entries {
            // What was decided meanwhile counts, wherever that is.
            if flows.find(key)?.is_none() {
                missing.push((*key, *flow));
            }
        }
        flows.put_back(*place, &missing)?;
    }
    Ok(Removal::PutBack)
}
