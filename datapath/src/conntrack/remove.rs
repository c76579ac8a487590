//! Removing both directions of a flow, unless a packet comes in between.

use aya::Pod;
use caracal_abi::{Flow, FlowKey};

use crate::{Error, Flows, Place};

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

impl<A> Half<A>
where
    A: Copy + PartialEq,
    FlowKey<A>: Pod + Default,
    Flow<A>: Pod + Default,
{
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
pub(super) fn remove<A>(flows: &mut Flows<A>, one: Half<A>, other: Option<Half<A>>) -> Result<Removal, Error>
where
    A: Copy + PartialEq,
    FlowKey<A>: Pod + Default,
    Flow<A>: Pod + Default,
{
    let mut halves: Vec<Half<A>> = [Some(one), other].into_iter().flatten().collect();
    halves.sort_by_key(|half| std::cmp::Reverse(half.asks()));
    let mut taken: Vec<Half<A>> = Vec::new();
    for Half { place, key, flow: judged } in halves {
        match flows.table_mut(place).take(&key)? {
            Some(flow) => {
                let is_changed = flow != judged;
                taken.push(Half { place, key, flow });
                if is_changed {
                    return put_back(flows, &taken);
                }
            }
            None if taken.is_empty() => return Ok(Removal::Gone),
            // Removed by others, which is what we want; or moved over, and then both directions were written again.
            None => {}
        }
    }
    Ok(Removal::Done)
}

fn put_back<A>(flows: &mut Flows<A>, taken: &[Half<A>]) -> Result<Removal, Error>
where
    A: Copy,
    FlowKey<A>: Pod + Default,
    Flow<A>: Pod + Default,
{
    for Half { place, key, flow } in taken.iter().rev() {
        // What was decided meanwhile counts, wherever that is.
        if flows.find(key)?.is_none() {
            flows.table_mut(*place).add(key, flow)?;
        }
    }
    Ok(Removal::PutBack)
}
