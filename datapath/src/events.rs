//! Events: single packets that the programs tell of, read by whoever watches.
//!
//! They go through one ring buffer, from which each event is taken once: there is one reader at a time. A buffer that nobody
//! reads keeps its oldest events; of the others their number is known.

use std::{
    fs::{File, TryLockError},
    io,
    os::fd::AsFd as _,
    time::{Duration, Instant, SystemTime},
};

use aya::maps::{Map, MapData, MapInfo, PerCpuArray, RingBuf};
use caracal_abi::{Event, EventState, map};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    time::{ClockId, clock_gettime},
};

use crate::{Error, Root};

mod telling;

pub use telling::{Telling, Told};

/// Takes events out of the buffer.
pub struct Reader {
    root: Root,
    ring: RingBuf<MapData>,
    ring_id: u32,
    state: PerCpuArray<MapData, EventState>,
    /// What had been missed when that was last asked for.
    before: Missed,
    /// Held as long as this lives.
    _one_at_a_time: File,
}

/// Events that nobody will see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missed {
    /// More than are told in a second.
    pub suppressed: u64,
    /// The buffer was full.
    pub lost: u64,
}

impl Reader {
    /// Begins to read; `None` if the programs that are loaded tell of nothing.
    ///
    /// First come those events that were told before, as far as they had room.
    pub fn open(root: &Root) -> Result<Option<Self>, Error> {
        if !root.map(map::EVENTS).exists() {
            return Ok(None);
        }
        let lock = lock(root)?;
        let data = pinned(root, map::EVENTS)?;
        let ring_id = data.info().map_err(Error::map(map::EVENTS, "ask for its number"))?.id();
        let ring = Map::from_map_data(data).and_then(RingBuf::try_from);
        let ring = ring.map_err(Error::map(map::EVENTS, "use it as a ring buffer"))?;
        let state = Map::from_map_data(pinned(root, map::EVENTS_STATE)?).and_then(PerCpuArray::try_from);
        let state = state.map_err(Error::map(map::EVENTS_STATE, "use it as a per-CPU array"))?;
        let mut reader =
            Self { root: root.clone(), ring, ring_id, state, before: Missed::default(), _one_at_a_time: lock };
        reader.before = reader.missed_ever()?;
        Ok(Some(reader))
    }

    /// The next event, as soon as there is one; `None` after `timeout`, or if a signal was caught.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<Event>, Error> {
        let end = Instant::now() + timeout;
        loop {
            if let Some(event) = self.take()? {
                return Ok(Some(event));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.wait(left)? {
                return Ok(None);
            }
        }
    }

    /// Takes the events that are there already.
    pub fn buffered(&mut self) -> impl Iterator<Item = Result<Event, Error>> {
        std::iter::from_fn(|| self.take().transpose())
    }

    /// What was missed since this was last asked, or since the reader was opened.
    pub fn missed(&mut self) -> Result<Missed, Error> {
        let now = self.missed_ever()?;
        let before = std::mem::replace(&mut self.before, now);
        Ok(Missed { suppressed: now.suppressed - before.suppressed, lost: now.lost - before.lost })
    }

    /// Whether the programs go on telling by this buffer: an agent that was started otherwise may have made another, or none.
    #[must_use]
    pub fn is_current(&self) -> bool {
        MapInfo::from_pin(self.root.map(map::EVENTS)).is_ok_and(|info| info.id() == self.ring_id)
    }

    fn take(&mut self) -> Result<Option<Event>, Error> {
        let Some(item) = self.ring.next() else { return Ok(None) };
        let event = Event::from_bytes(&item).ok_or(Error::EventSize { bytes: item.len() })?;
        Ok(Some(event))
    }

    /// Whether there may be something; false if there is nothing after this time, or for a signal.
    fn wait(&self, timeout: Duration) -> Result<bool, Error> {
        // A part of a millisecond is waited for as well.
        let timeout = PollTimeout::try_from(timeout.as_millis() + 1).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(self.ring.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::EINTR) => Ok(false),
            Err(error) => Err(Error::Events { what: "wait for", source: error.into() }),
        }
    }

    fn missed_ever(&self) -> Result<Missed, Error> {
        let states = self.state.get(&0, 0).map_err(Error::map(map::EVENTS_STATE, "read it"))?;
        Ok(states.iter().fold(Missed::default(), |sum, cpu| Missed {
            suppressed: sum.suppressed + cpu.suppressed,
            lost: sum.lost + cpu.lost,
        }))
    }
}

/// When the clock of [`Event::time_ns`] stood at zero.
pub fn beginning_of_time() -> Result<SystemTime, Error> {
    let failed = |source: io::Error| Error::Events { what: "read the clock of", source };
    let passed = clock_gettime(ClockId::CLOCK_MONOTONIC).map_err(|errno| failed(errno.into()))?;
    let time = SystemTime::now().checked_sub(passed.into());
    time.ok_or_else(|| failed(io::Error::other("the system's clock stands before the machine's start")))
}

fn pinned(root: &Root, name: &str) -> Result<MapData, Error> {
    MapData::from_pin(root.map(name)).map_err(Error::map(name, "open its pin"))
}

/// The directory of pins is there in any case, and its lock is nobody else's.
fn lock(root: &Root) -> Result<File, Error> {
    let directory = root.maps_dir();
    let file = File::open(&directory).map_err(Error::directory("open it", &directory))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::EventsTaken { path: directory }),
        Err(TryLockError::Error(error)) => Err(Error::directory("lock it", &directory)(error)),
    }
}
