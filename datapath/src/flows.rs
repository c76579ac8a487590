//! The flow table of one family, which is two maps: flows that both sides want, and those that one side alone wants so far.

use aya::Pod;
use caracal_abi::{Flow, FlowKey};

use crate::{Error, Revision, Root, Table};

/// Both maps. A key is in one of them, but for the moment in which a flow moves over.
#[derive(Debug)]
pub struct Flows<A> {
    /// Flows that both sides want.
    pub main: Table<FlowKey<A>, Flow<A>>,
    /// All others.
    pub new: Table<FlowKey<A>, Flow<A>>,
}

impl<A> Flows<A>
where
    A: Copy,
    FlowKey<A>: Pod + Default,
    Flow<A>: Pod + Default,
{
    pub(crate) fn open(root: &Root, main: &str, new: &str) -> Result<Self, Error> {
        Ok(Self { main: Table::open(&root.map(main))?, new: Table::open(&root.map(new))? })
    }

    /// Every flow. Those that move over meanwhile may be there twice, and are not missed: the map they leave is read first.
    pub fn entries(&self) -> Result<Vec<(FlowKey<A>, Flow<A>)>, Error> {
        let mut entries = self.new.entries()?;
        entries.extend(self.main.entries()?);
        Ok(entries)
    }

    /// The flow under `key`.
    pub fn get(&self, key: &FlowKey<A>) -> Result<Option<Flow<A>>, Error> {
        Ok(self.main.get(key)?.or(self.new.get(key)?))
    }

    /// Goes over every flow and does to it what `judge` says. Returns how many were replaced or removed.
    pub fn revise(&mut self, judge: impl Fn(&FlowKey<A>, &Flow<A>) -> Revision<Flow<A>>) -> Result<usize, Error> {
        Ok(self.new.revise(&judge)? + self.main.revise(&judge)?)
    }

    /// Removes flows, wherever they are. Returns how many were there.
    pub fn remove_all(&mut self, keys: &[FlowKey<A>]) -> Result<usize, Error> {
        Ok(self.new.remove_all(keys)? + self.main.remove_all(keys)?)
    }
}
