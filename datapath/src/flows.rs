//! The flow table of one family, which is two maps: flows that both sides want, and those that one side alone wants so far.

use aya::Pod;
use caracal_abi::{Flow, FlowKey};

use crate::{Error, Revision, Root, Table};

/// In which of the two a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Among those that one side alone wants so far.
    New,
    /// Among those that both sides want.
    Main,
}

impl Place {
    /// As people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Main => "main",
        }
    }
}

/// One direction of a flow: its key and what is done to its packets.
pub type Entry<A> = (FlowKey<A>, Flow<A>);

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
    pub fn entries(&self) -> Result<Vec<Entry<A>>, Error> {
        Ok(self.placed()?.into_iter().map(|(_, entry)| entry).collect())
    }

    /// The same, and where each is.
    pub fn placed(&self) -> Result<Vec<(Place, Entry<A>)>, Error> {
        let mut entries = Vec::new();
        for place in [Place::New, Place::Main] {
            entries.extend(self.table(place).entries()?.into_iter().map(|entry| (place, entry)));
        }
        Ok(entries)
    }

    /// The flow under `key`.
    pub fn get(&self, key: &FlowKey<A>) -> Result<Option<Flow<A>>, Error> {
        Ok(self.find(key)?.map(|(_, flow)| flow))
    }

    /// The flow under `key`, and where it is: of two, the one that the programs take.
    pub fn find(&self, key: &FlowKey<A>) -> Result<Option<(Place, Flow<A>)>, Error> {
        for place in [Place::Main, Place::New] {
            if let Some(flow) = self.table(place).get(key)? {
                return Ok(Some((place, flow)));
            }
        }
        Ok(None)
    }

    /// One of the maps.
    #[must_use]
    pub fn table(&self, place: Place) -> &Table<FlowKey<A>, Flow<A>> {
        match place {
            Place::New => &self.new,
            Place::Main => &self.main,
        }
    }

    /// The same, to write.
    pub fn table_mut(&mut self, place: Place) -> &mut Table<FlowKey<A>, Flow<A>> {
        match place {
            Place::New => &mut self.new,
            Place::Main => &mut self.main,
        }
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
