//! Whether packets may go past what others have put on pods' links.
//!
//! From one pod straight into another, a packet meets neither the queue that a limit puts on the receiver's link nor the
//! filters that others have on the sender's. The plugin, where others come after it, cannot know what they will do, so
//! its endpoints begin with the flags of both. Here the flags are made what the kernel has, in every round anew: whoever
//! adds or removes a queue tells nobody. Flows decided by other flags are gone over (`review`).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::IpAddr,
    time::{Duration, Instant},
};

use caracal_datapath::{Pinned, abi::Endpoint, attach::PRIORITY};
use caracal_netlink::{Socket, has_foreign_ingress_filter, qdiscs};
use review::{Review, revision};

use crate::endpoints::tally::{self, Repair};

mod review;

/// The flags that follow from what links have.
const FLAGS: u32 = Endpoint::QUEUED | Endpoint::BY_HOST;

/// How long the host's connection tracking remembers a connection of which it saw the first packet and no other. Not
/// there where nothing tracks.
const SYN_SENT: &str = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_syn_sent";

/// What a round failed on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The links could not be looked at.
    #[error(transparent)]
    Netlink(#[from] caracal_netlink::Error),
    /// Endpoints or flows could not be read or written.
    #[error(transparent)]
    DataPlane(#[from] caracal_datapath::Error),
}

/// What earlier rounds have left to be done.
#[derive(Debug, Default)]
pub struct Queues {
    /// The interfaces whose flows are to be gone over; `None` before the first round.
    changed: Option<BTreeMap<u32, Change>>,
}

/// A pod whose flows may have been decided by other flags.
#[derive(Clone, Copy, Debug)]
struct Change {
    review: Review,
    /// From when on the host takes connections it has not followed.
    host_takes_all: Instant,
    rounds: u32,
}

impl Change {
    /// The second round is for packets that were judged while the first was under way.
    const ROUNDS: u32 = 2;

    fn is_due(&self, now: Instant) -> bool {
        self.rounds < Self::ROUNDS || now >= self.host_takes_all
    }

    fn is_done(&self, now: Instant) -> bool {
        let waits = self.review.flags & Endpoint::BY_HOST != 0 && now < self.host_takes_all;
        self.rounds >= Self::ROUNDS && !waits
    }
}

impl Queues {
    /// Makes every endpoint's flags right, and the flows decided by others. Endpoints of links that are gone go.
    pub fn round(&mut self, pinned: &Pinned) -> Result<(), Error> {
        tally::REPAIRS.count(Repair::Forgotten, pinned.forget_gone()?);
        // Read before the links are: what is known here was on its link before.
        let endpoints = pinned.endpoints()?;
        let wanted = wanted(&endpoints)?;
        let now = Instant::now();
        // What an agent before this one changed, and did not come to go over the flows of.
        let changed = self.changed.get_or_insert_with(|| {
            let flagged = endpoints.iter().filter(|(_, endpoint)| endpoint.flags & FLAGS != 0);
            flagged.map(|(_, endpoint)| (endpoint.ifindex, Change::new(endpoint.flags, endpoint.flags, now))).collect()
        });
        for (addr, endpoint) in endpoints {
            let flags = endpoint.flags & !FLAGS | wanted.get(&endpoint.ifindex).copied().unwrap_or_default();
            if flags != endpoint.flags && pinned.set_flags(addr, endpoint.ifindex, flags)? {
                log::info!("pod {addr} {}", in_words(flags));
                changed.insert(endpoint.ifindex, Change::new(endpoint.flags, flags, now));
            }
        }
        go_over(pinned, changed, now)
    }
}

impl Change {
    fn new(before: u32, flags: u32, now: Instant) -> Self {
        let review = Review { before, flags, host_takes_all: false };
        Self { review, host_takes_all: now + host_memory(), rounds: 0 }
    }
}

/// The flags that the links of endpoints call for, by number of the link.
fn wanted(endpoints: &[(IpAddr, Endpoint)]) -> Result<BTreeMap<u32, u32>, Error> {
    let mut socket = Socket::open()?;
    let qdiscs = qdiscs(&mut socket)?;
    let mut wanted = BTreeMap::new();
    for ifindex in endpoints.iter().map(|(_, endpoint)| endpoint.ifindex).collect::<BTreeSet<_>>() {
        let found = qdiscs.get(&ifindex).copied().unwrap_or_default();
        let filtered = found.takes_filters && has_foreign_ingress_filter(&mut socket, ifindex, PRIORITY)?;
        let flag = |is_set: bool, flag: u32| if is_set { flag } else { 0 };
        wanted.insert(ifindex, flag(found.is_queued, Endpoint::QUEUED) | flag(filtered, Endpoint::BY_HOST));
    }
    Ok(wanted)
}

/// Goes over the flows of those interfaces whose turn it is.
fn go_over(pinned: &Pinned, changed: &mut BTreeMap<u32, Change>, now: Instant) -> Result<(), Error> {
    let due = changed.iter().filter(|(_, change)| change.is_due(now));
    let due: BTreeMap<u32, Review> =
        due.map(|(ifindex, it)| (*ifindex, Review { host_takes_all: now >= it.host_takes_all, ..it.review })).collect();
    if due.is_empty() {
        return Ok(());
    }
    let v4 = pinned.flows4()?.revise(|key, flow| revision(key.protocol, flow, &due))?;
    let v6 = pinned.flows6()?.revise(|key, flow| revision(key.protocol, flow, &due))?;
    if v4 + v6 > 0 {
        log::info!("{} flows take another way", v4 + v6);
    }
    for change in changed.values_mut() {
        change.rounds = change.rounds.saturating_add(1);
    }
    changed.retain(|_, change| !change.is_done(now));
    Ok(())
}

fn host_memory() -> Duration {
    let seconds = fs::read_to_string(SYN_SENT).ok().and_then(|text| text.trim().parse().ok());
    Duration::from_secs(seconds.unwrap_or_default())
}

fn in_words(flags: u32) -> &'static str {
    match (flags & Endpoint::QUEUED != 0, flags & Endpoint::BY_HOST != 0) {
        (false, false) => "is reached directly: its link has neither queue nor filters of others",
        (true, false) => "is reached through the queue of its link",
        (false, true) => "sends by the host, where others filter",
        (true, true) => "is reached through the queue of its link, and sends by the host, where others filter",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(flags: u32, memory: Duration) -> (Change, Instant) {
        let now = Instant::now();
        let review = Review { before: 0, flags, host_takes_all: false };
        (Change { review, host_takes_all: now + memory, rounds: 0 }, now)
    }

    #[test]
    fn flows_are_gone_over_twice_and_once_more_when_the_host_has_forgotten() {
        let minutes = Duration::from_secs(120);
        let (mut change, now) = change(Endpoint::BY_HOST, minutes);
        for _ in 0..Change::ROUNDS {
            assert!(change.is_due(now) && !change.is_done(now));
            change.rounds += 1;
        }
        assert!(!change.is_due(now) && !change.is_done(now));
        assert!(change.is_due(now + minutes) && change.is_done(now + minutes));
    }

    #[test]
    fn nobody_waits_for_the_host_where_it_has_nothing_to_take() {
        let (mut change, now) = change(Endpoint::QUEUED, Duration::from_secs(120));
        change.rounds = Change::ROUNDS;
        assert!(change.is_done(now));
    }
}
