//! The map of flows that one side alone wants so far, direction by direction: the kernel has two of them in one entry.

use std::path::Path;

use caracal_abi::{Address, Flow, FlowKey, Pair};

use crate::{
    Entry, Error, Revision,
    table::{Table, Walk},
};

/// `FLOWS_NEW` of one family.
#[derive(Debug)]
pub struct Pairs<A>(Table<FlowKey<A>, Pair<A>>);

impl<A: Address> Pairs<A> {
    pub(crate) fn open(pin: &Path) -> Result<Self, Error> {
        Table::open(pin).map(Self)
    }

    /// For how many directions there is room at most: less by one for each that is alone.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        2 * self.0.capacity()
    }

    /// The direction under `key`.
    pub fn get(&self, key: &FlowKey<A>) -> Result<Option<Flow<A>>, Error> {
        let (pair_key, side) = key.pair();
        Ok(self.0.get(&pair_key)?.map(|pair| pair.flows[side]).filter(is_there))
    }

    /// Writes one direction, whether it was there or not. The other stays what it is.
    pub fn set(&mut self, key: &FlowKey<A>, flow: &Flow<A>) -> Result<(), Error> {
        let (pair_key, side) = key.pair();
        let mut pair = self.0.get(&pair_key)?.unwrap_or_default();
        pair.flows[side] = *flow;
        self.0.set(&pair_key, &pair)
    }

    /// Writes one direction where there is one; tells whether there was. What a packet of the other direction notes at this very
    /// moment is lost.
    pub fn replace(&mut self, key: &FlowKey<A>, flow: &Flow<A>) -> Result<bool, Error> {
        let (pair_key, side) = key.pair();
        let Some(mut pair) = self.0.get(&pair_key)?.filter(|pair| is_there(&pair.flows[side])) else {
            return Ok(false);
        };
        pair.flows[side] = *flow;
        self.0.replace(&pair_key, &pair)
    }

    /// Writes the entry of one direction, or of a tuple and its reverse, where there is none; tells whether it could.
    pub fn add(&mut self, directions: &[Entry<A>]) -> Result<bool, Error> {
        let mut pair = Pair::default();
        let mut key = FlowKey::default();
        for (direction, flow) in directions {
            let (pair_key, side) = direction.pair();
            key = pair_key;
            pair.flows[side] = *flow;
        }
        self.0.add(&key, &pair)
    }

    /// Removes a direction, and with it its reverse where that is the same flow's; returns what they were at that moment.
    pub fn take(&mut self, key: &FlowKey<A>) -> Result<Vec<Entry<A>>, Error> {
        let (pair_key, side) = key.pair();
        let Some(pair) = self.0.take(&pair_key)? else { return Ok(Vec::new()) };
        let flow = &pair.flows[side];
        let is_ours = |other: &FlowKey<A>| is_there(flow) && (other == key || *other == flow.answer(key));
        let (ours, others): (Vec<_>, Vec<_>) = directions(&pair_key, &pair).partition(|(other, _)| is_ours(other));
        if !others.is_empty() {
            self.add(&others)?;
        }
        Ok(ours)
    }

    /// Removes directions and with them their reverses, whosesoever they are; those that are not there are passed over. Returns how
    /// many entries that were.
    pub fn remove_all(&mut self, keys: &[FlowKey<A>]) -> Result<usize, Error> {
        let mut pairs: Vec<_> = keys.iter().map(|key| key.pair().0).collect();
        // Read from here, both directions are side by side.
        pairs.dedup();
        self.0.remove_all(&pairs)
    }

    /// Every direction. Others may write meanwhile: what is there throughout is returned once.
    pub fn entries(&self) -> Result<Vec<Entry<A>>, Error> {
        Ok(self.0.entries()?.iter().flat_map(|(key, pair)| directions(key, pair)).collect())
    }

    /// Reads on where `walk` is. `done` directions were read before, for a message.
    pub(crate) fn read(&self, walk: &mut Walk<FlowKey<A>, Pair<A>>, done: usize) -> Result<Vec<Entry<A>>, Error> {
        Ok(self.0.read(walk, done)?.flat_map(|(key, pair)| directions(&key, &pair).collect::<Vec<_>>()).collect())
    }

    /// Goes over every direction and does to it what `judge` says; its reverse is removed with it. Returns how many were replaced
    /// or removed.
    pub fn revise(&mut self, judge: impl Fn(&FlowKey<A>, &Flow<A>) -> Revision<Flow<A>>) -> Result<usize, Error> {
        let (mut replaced, mut removed) = (0, Vec::new());
        for (key, flow) in self.entries()? {
            match judge(&key, &flow) {
                Revision::Keep => {}
                Revision::Replace(flow) => replaced += usize::from(self.replace(&key, &flow)?),
                Revision::Remove => removed.push(key),
            }
        }
        Ok(replaced + self.remove_all(&removed)?)
    }
}

fn is_there<A>(flow: &Flow<A>) -> bool {
    flow.in_ifindex != 0
}

fn directions<A: Address>(key: &FlowKey<A>, pair: &Pair<A>) -> impl Iterator<Item = Entry<A>> {
    [*key, key.reverse()].into_iter().zip(pair.flows).filter(|(_, flow)| is_there(flow))
}
