//! The end of flows: whose time is up is swept out of the tables, and whose pod or permission is gone is cut or reset.
//!
//! [`Sweeper`] goes over the tables of one family in slices. Flows whose two directions were silent for longer than their state
//! allows ([`Timeouts`]) are removed, both directions together. It keeps nothing that a restart would miss.
//!
//! Packets flow meanwhile. What they change between the moment a flow is judged and the moment it is removed is seen in what
//! the removal returns, and then the flow is put back as it was (`remove`).

use std::{collections::HashMap, time::Duration};

use caracal_abi::{Address, Flow, FlowKey, Via};
pub use caracal_logic::tracking::{State, Timeout, Timeouts};

use crate::{Clock, Error, Flows, Place, flows::FlowsWalk};

mod cut;
mod given;
mod remove;
mod sweep;

pub use cut::Cut;
pub use given::{Given, GivenError};
use remove::{Half, Removal};
pub use sweep::{Directions, Sweep};

/// Half a flow may be on its way into the table when it is seen: what was said of the other direction comes first.
const GRACE: Duration = Duration::from_secs(10);

/// For how long flows that nobody would miss may be silent while there is little room.
const PRESSED: Duration = Duration::from_secs(5);

/// Time-outs in ticks.
#[derive(Clone, Copy, Debug)]
struct Limits {
    usual: Timeouts,
    /// While there is little room.
    pressed: Timeouts,
    grace: u32,
}

impl Limits {
    fn new(seconds: Timeouts, tick: Duration) -> Self {
        let usual = seconds.map(|_, seconds| ticks(Duration::from_secs(seconds.into()), tick));
        let pressed = ticks(PRESSED, tick);
        let pressed = usual.map(|timeout, usual| if timeout.is_expendable() { usual.min(pressed) } else { usual });
        Self { usual, pressed, grace: ticks(GRACE, tick) }
    }
}

/// How many whole ticks are no shorter than this.
fn ticks(duration: Duration, tick: Duration) -> u32 {
    u32::try_from(duration.as_nanos().div_ceil(tick.as_nanos().max(1))).unwrap_or(u32::MAX)
}

/// Goes over the flow tables of one family, again and again.
#[derive(Debug)]
pub struct Sweeper<A> {
    flows: Flows<A>,
    limits: Limits,
    walk: FlowsWalk<A>,
    /// Directions that have seen no packet and have no other, and when that was first noticed: they have no stamp that tells.
    alone: HashMap<FlowKey<A>, u32>,
    /// Those of `alone` that this sweep has met.
    still_alone: HashMap<FlowKey<A>, u32>,
    sweep: Sweep,
    /// How many entries the main table had when it was last gone through.
    main_entries: usize,
}

impl<A: Address> Sweeper<A> {
    /// With these time-outs in seconds, for flows stamped with ticks of this length ([`Clock::tick`]).
    #[must_use]
    pub fn new(flows: Flows<A>, seconds: Timeouts, tick: Duration) -> Self {
        Self {
            limits: Limits::new(seconds, tick),
            walk: FlowsWalk::new(),
            alone: HashMap::new(),
            still_alone: HashMap::new(),
            sweep: Sweep::of(&flows),
            main_entries: 0,
            flows,
        }
    }

    /// Goes on over the next `entries` at most, `now` being the tick it is. Says what was found when the tables have been gone
    /// through; the next call begins anew. Twice as many are read, and so on, where the kernel has more than that in one bucket.
    ///
    /// A direction that shows no sign of its flow being over costs its share of one call of the kernel, the others some calls
    /// each.
    ///
    /// After an error the next call goes on behind what could not be judged.
    pub fn slice(&mut self, now: u32, entries: usize) -> Result<Option<Sweep>, Error> {
        let place = self.walk.place;
        self.walk.make_room(entries.max(1));
        let batch = self.flows.read(&mut self.walk, self.sweep.of_table(place).total)?;
        self.sweep.slices += 1;
        for (_, flow) in &batch {
            self.sweep.count(place, flow);
        }
        let timeouts = self.timeouts(place);
        let is_silent = |key: &FlowKey<A>, flow: &Flow<A>| {
            timeouts.may_be_over(key.protocol, flow, Clock::since(now, flow.last_seen))
        };
        let mut silent = batch.into_iter().filter(|(key, flow)| is_silent(key, flow));
        let judged = silent.try_for_each(|(key, _)| self.judge(place, &key, &timeouts, now));
        let finished = if self.walk.is_finished() { self.next_table() } else { None };
        judged.map(|()| finished)
    }

    /// Goes on with the other table. What was found, if that is the first again.
    fn next_table(&mut self) -> Option<Sweep> {
        if !self.walk.next_map() {
            return None;
        }
        // Who was not met again in a whole sweep is not alone any more, or not there.
        self.alone = std::mem::take(&mut self.still_alone);
        self.main_entries = self.sweep.main.total;
        Some(std::mem::replace(&mut self.sweep, Sweep::of(&self.flows)))
    }

    /// The time-outs of the moment. Only in the main table there is nobody else who makes room.
    fn timeouts(&mut self, place: Place) -> Timeouts {
        let entries = self.main_entries.max(self.sweep.main.total) as u64;
        if place == Place::Main && entries * 4 > u64::from(self.sweep.main_capacity) * 3 {
            self.sweep.pressed = true;
            return self.limits.pressed;
        }
        self.limits.usual
    }

    /// Looks at both directions of a flow of which one shows that it may be over, and removes it if it is.
    fn judge(&mut self, place: Place, key: &FlowKey<A>, timeouts: &Timeouts, now: u32) -> Result<(), Error> {
        self.sweep.looked_up += 1;
        let Some((found, flow)) = self.flows.find(key)? else { return Ok(()) };
        if place == Place::New && found == Place::Main {
            // On its way from one table to the other, or left behind on it: nobody looks at it here any more.
            self.flows.new.take(key)?;
            return Ok(());
        }
        let one = Half { place: found, key: *key, flow };
        let other = Half::answering(&self.flows, &one)?;
        let (judged_by, last_seen) = match &other {
            Some(other) => (&other.flow, flow.last_seen.max(other.flow.last_seen)),
            None => (&Flow::default(), flow.last_seen),
        };
        let idle = Clock::since(now, last_seen);
        let is_pair = other.is_some();
        let is_over = if is_pair || flow.via == Via::Host as u8 {
            idle > timeouts.get(Timeout::of(key.protocol, &flow, judged_by))
        } else if flow.packets == 0 {
            self.was_alone(key, now)
        } else {
            idle > self.limits.grace
        };
        if !is_over {
            return Ok(());
        }
        match remove::remove(&mut self.flows, one, other)? {
            Removal::Done if is_pair => self.sweep.expired += 1,
            Removal::Done => self.sweep.alone += 1,
            Removal::PutBack => self.sweep.put_back += 1,
            Removal::Gone => {}
        }
        Ok(())
    }

    /// Whether a direction without stamp and without other has been so for long enough.
    fn was_alone(&mut self, key: &FlowKey<A>, now: u32) -> bool {
        let since = self.alone.get(key).copied().unwrap_or(now);
        let is_over = Clock::since(now, since) > self.limits.grace;
        if !is_over {
            self.still_alone.insert(*key, since);
        }
        is_over
    }
}
