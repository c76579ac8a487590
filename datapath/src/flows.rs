//! The flow table of one family, which is two maps: flows that both sides want, and those that one side alone wants so far.

use caracal_abi::{Address, Flow, FlowKey, Pair};

use crate::{Error, Pairs, Revision, Root, Table, table::Walk};

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
    pub new: Pairs<A>,
}

impl<A: Address> Flows<A> {
    pub(crate) fn open(root: &Root, main: &str, new: &str) -> Result<Self, Error> {
        Ok(Self { main: Table::open(&root.map(main))?, new: Pairs::open(&root.map(new))? })
    }

    /// Every flow. Those that move over meanwhile may be there twice, and are not missed: the map they leave is read first.
    pub fn entries(&self) -> Result<Vec<Entry<A>>, Error> {
        Ok(self.placed()?.into_iter().map(|(_, entry)| entry).collect())
    }

    /// The same, and where each is.
    pub fn placed(&self) -> Result<Vec<(Place, Entry<A>)>, Error> {
        let mut entries = Vec::new();
        for place in [Place::New, Place::Main] {
            entries.extend(self.entries_of(place)?.into_iter().map(|entry| (place, entry)));
        }
        Ok(entries)
    }

    /// The flows of one map.
    pub fn entries_of(&self, place: Place) -> Result<Vec<Entry<A>>, Error> {
        match place {
            Place::New => self.new.entries(),
            Place::Main => self.main.entries(),
        }
    }

    /// The flow under `key`.
    pub fn get(&self, key: &FlowKey<A>) -> Result<Option<Flow<A>>, Error> {
        Ok(self.find(key)?.map(|(_, flow)| flow))
    }

    /// The flow under `key`, and where it is: of two, the one that the programs take.
    pub fn find(&self, key: &FlowKey<A>) -> Result<Option<(Place, Flow<A>)>, Error> {
        if let Some(flow) = self.main.get(key)? {
            return Ok(Some((Place::Main, flow)));
        }
        Ok(self.new.get(key)?.map(|flow| (Place::New, flow)))
    }

    /// Writes one direction into one of the maps.
    pub fn set(&mut self, place: Place, key: &FlowKey<A>, flow: &Flow<A>) -> Result<(), Error> {
        match place {
            Place::New => self.new.set(key, flow),
            Place::Main => self.main.set(key, flow),
        }
    }

    /// Writes one direction where it is there; tells whether it was.
    pub(crate) fn replace(&mut self, place: Place, key: &FlowKey<A>, flow: &Flow<A>) -> Result<bool, Error> {
        match place {
            Place::New => self.new.replace(key, flow),
            Place::Main => self.main.replace(key, flow),
        }
    }

    /// Removes one direction, and with it what is in the same entry: returns what that was at that moment.
    pub(crate) fn take(&mut self, place: Place, key: &FlowKey<A>) -> Result<Vec<Entry<A>>, Error> {
        match place {
            Place::New => self.new.take(key),
            Place::Main => Ok(self.main.take(key)?.map(|flow| (*key, flow)).into_iter().collect()),
        }
    }

    /// Writes what was taken, where there is nothing else meanwhile. It may come to nothing: the next packet is judged anew.
    pub(crate) fn put_back(&mut self, place: Place, taken: &[Entry<A>]) -> Result<(), Error> {
        match place {
            _ if taken.is_empty() => Ok(()),
            Place::New => self.new.add(taken).map(drop),
            Place::Main => taken.iter().try_for_each(|(key, flow)| self.main.add(key, flow).map(drop)),
        }
    }

    /// The next directions of one map.
    pub(crate) fn read(&self, walk: &mut FlowsWalk<A>, done: usize) -> Result<Vec<Entry<A>>, Error> {
        match walk.place {
            Place::New => self.new.read(&mut walk.new, done),
            Place::Main => Ok(self.main.read(&mut walk.main, done)?.collect()),
        }
    }

    /// Goes over every flow and does to it what `judge` says. Returns how many were replaced or removed.
    pub fn revise(&mut self, judge: impl Fn(&FlowKey<A>, &Flow<A>) -> Revision<Flow<A>>) -> Result<usize, Error> {
        Ok(self.new.revise(&judge)? + self.main.revise(&judge)?)
    }

    /// Removes flows, wherever they are. Returns how many entries that were.
    pub fn remove_all(&mut self, keys: &[FlowKey<A>]) -> Result<usize, Error> {
        Ok(self.new.remove_all(keys)? + self.main.remove_all(keys)?)
    }
}

/// A walk over both maps in steps, the one that flows move over from first.
#[derive(Debug)]
pub(crate) struct FlowsWalk<A> {
    /// Which it is in.
    pub(crate) place: Place,
    new: Walk<FlowKey<A>, Pair<A>>,
    main: Walk<FlowKey<A>, Flow<A>>,
}

impl<A: Copy> FlowsWalk<A>
where
    FlowKey<A>: Copy + Default,
    Flow<A>: Copy + Default,
    Pair<A>: Copy + Default,
{
    /// From the beginning.
    pub(crate) fn new() -> Self {
        Self { place: Place::New, new: Walk::new(0), main: Walk::new(0) }
    }

    /// Room for so many entries in one step.
    pub(crate) fn make_room(&mut self, room: usize) {
        match self.place {
            Place::New => self.new.make_room(room),
            Place::Main => self.main.make_room(room),
        }
    }

    /// Whether the whole map has been seen.
    pub(crate) fn is_finished(&self) -> bool {
        match self.place {
            Place::New => self.new.is_finished(),
            Place::Main => self.main.is_finished(),
        }
    }

    /// Goes on with the other map, from its beginning; tells whether that is the first again.
    pub(crate) fn next_map(&mut self) -> bool {
        match self.place {
            Place::New => {
                self.place = Place::Main;
                self.main.rewind();
            }
            Place::Main => {
                self.place = Place::New;
                self.new.rewind();
            }
        }
        self.place == Place::New
    }
}
