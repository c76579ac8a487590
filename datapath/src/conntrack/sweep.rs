//! What a sweep has found and done.

use caracal_abi::{Address, Flow};
use caracal_logic::control::{FIN, RST};

use crate::{Flows, Place};

/// The directions of one table, each by what it shows alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Directions {
    /// All of them.
    pub total: usize,
    /// Those that have seen no packet.
    pub silent: usize,
    /// Those whose sender has said all it will.
    pub finished: usize,
    /// Those whose sender has reset the connection.
    pub reset: usize,
}

/// What a sweep over the tables of one family has found and done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    /// The table of flows that both sides want.
    pub main: Directions,
    /// The table of all others.
    pub new: Directions,
    /// How many directions the first has room for.
    pub main_capacity: u32,
    /// The same of the second.
    pub new_capacity: u32,
    /// Whether there was so little room that flows which nobody would miss were removed early.
    pub pressed: bool,
    /// In how many slices.
    pub slices: usize,
    /// Directions that were looked at a second time, for their flow might have been over.
    pub looked_up: usize,
    /// Flows removed because their time was up.
    pub expired: usize,
    /// Directions removed because there was no other.
    pub alone: usize,
    /// Flows put back because a packet came at the last moment.
    pub put_back: usize,
}

impl Sweep {
    pub(super) fn of<A: Address>(flows: &Flows<A>) -> Self {
        Self { main_capacity: flows.main.capacity(), new_capacity: flows.new.capacity(), ..Self::default() }
    }

    /// What it has found in one table.
    #[must_use]
    pub fn of_table(&self, place: Place) -> &Directions {
        match place {
            Place::New => &self.new,
            Place::Main => &self.main,
        }
    }

    pub(super) fn count<A>(&mut self, place: Place, flow: &Flow<A>) {
        let directions = match place {
            Place::New => &mut self.new,
            Place::Main => &mut self.main,
        };
        directions.total += 1;
        directions.silent += usize::from(flow.packets == 0);
        directions.finished += usize::from(flow.seen & FIN != 0);
        directions.reset += usize::from(flow.seen & RST != 0);
    }
}
