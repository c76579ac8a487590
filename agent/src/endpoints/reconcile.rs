//! What all sides know of pods, compared: maps, pins, records, address stores and links.
//!
//! Maps are read before records and records before links, so that what is missing in a later one is gone and not just
//! about to come. Records say who a pod is; a link that is gone is nobody's. What is put right is looked at once more
//! under the lock of its record, for the plugin may be at work on it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::Path,
};

use caracal_cni_plugin::record::{self, Known, Record};
use caracal_datapath::{Pinned, abi::Endpoint};
use caracal_endpoints::{Removal, queue::Queue};
use caracal_netlink::{Link, Socket, VETH, link_by_index};

use super::{
    pods::forget,
    tally::{REPAIRS, Repair},
};

mod mend;
#[cfg(test)]
mod tests;

/// What a comparison failed on.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Netlink(#[from] caracal_netlink::Error),
    #[error(transparent)]
    DataPlane(#[from] caracal_datapath::Error),
    #[error(transparent)]
    Record(#[from] record::Error),
    #[error(transparent)]
    Queue(#[from] caracal_endpoints::Error),
    #[error(transparent)]
    Ipam(#[from] caracal_ipam::Error),
    #[error("its record: {0}")]
    Mac(String),
}

/// Compares once, and puts right what differs.
pub(super) fn round(run_dir: &Path, bpffs: &Path, pinned: &Pinned) {
    if let Err(error) = work_off(run_dir, pinned) {
        log::error!("removals that waited for the agent: {error}; tried again later");
    }
    let seen = match Seen::read(run_dir, bpffs, pinned) {
        Ok(seen) => seen,
        Err(error) => {
            log::error!("what is known of pods cannot be compared: {error}; tried again later");
            return;
        }
    };
    for mending in mendings(&seen) {
        if let Err(error) = mend::mend(run_dir, pinned, &mending) {
            log::error!("{mending}: {error}; tried again later");
        }
    }
}

/// Works off what waited for an agent. A link that somebody has attached again since is left to its record.
fn work_off(run_dir: &Path, pinned: &Pinned) -> Result<(), Error> {
    let waiting = Queue::new(run_dir).list()?;
    if waiting.is_empty() {
        return Ok(());
    }
    let known = record::survey(run_dir)?;
    for waiting in waiting {
        let Some(removal) = &waiting.removal else {
            log::warn!("{}: cannot be read; what it was about is found by comparing", waiting.path().display());
            waiting.done()?;
            continue;
        };
        if !is_attached(removal, &known) {
            let was_there = forget(pinned, removal)?;
            let what =
                if was_there { "its addresses and port mappings are forgotten" } else { "nothing of it was left" };
            log::info!("{removal} was removed while no agent ran: {what}");
        }
        REPAIRS.count(Repair::Removal, 1);
        waiting.done()?;
    }
    Ok(())
}

fn is_attached(removal: &Removal, known: &[Known]) -> bool {
    known.iter().any(|known| known.record.host_ifindex.is_some() && known.record.host_ifindex == removal.host_ifindex)
}

/// What all sides know.
#[derive(Debug, Default)]
struct Seen {
    endpoints: BTreeMap<IpAddr, Endpoint>,
    /// Owners of port mappings.
    owners: BTreeSet<u32>,
    /// Interfaces with a pinned link.
    pins: BTreeSet<u32>,
    /// Records that name this data plane.
    known: Vec<Known>,
    /// Those of all interfaces named so far that there are.
    links: BTreeMap<u32, Link>,
}

impl Seen {
    fn read(run_dir: &Path, bpffs: &Path, pinned: &Pinned) -> Result<Self, Error> {
        let endpoints = pinned.endpoints()?.into_iter().collect();
        let owners = pinned.mappings()?.into_iter().map(|(_, owner)| owner).collect();
        let mut known = record::survey(run_dir)?;
        known.retain(|known| known.record.bpffs == bpffs);
        let mut seen = Self { endpoints, owners, pins: pinned.linked()?, known, links: BTreeMap::new() };
        let mut socket = Socket::open()?;
        for ifindex in seen.named() {
            if let Some(link) = link_by_index(&mut socket, ifindex)? {
                seen.links.insert(ifindex, link);
            }
        }
        Ok(seen)
    }

    /// The interfaces that maps or pins name.
    fn held(&self) -> BTreeSet<u32> {
        let endpoints = self.endpoints.values().map(|endpoint| endpoint.ifindex);
        endpoints.chain(self.owners.iter().copied()).chain(self.pins.iter().copied()).collect()
    }

    fn named(&self) -> BTreeSet<u32> {
        let recorded = self.known.iter().filter_map(|known| known.record.host_ifindex);
        self.held().into_iter().chain(recorded).collect()
    }

    /// Whether a living pod's record gives it this address behind this interface.
    fn is_recorded(&self, ip: IpAddr, ifindex: u32) -> bool {
        self.known.iter().any(|known| {
            known.record.host_ifindex == Some(ifindex)
                && known.record.addresses.contains(&ip)
                && self.links.contains_key(&ifindex)
        })
    }
}

/// Something to be put right.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Mending {
    /// An interface that is gone.
    Gone(u32),
    /// An interface that is no pod's.
    Stray(u32),
    /// A pod that the maps do not know as its record does, with the addresses that are missing.
    Missing(Box<Known>, Vec<IpAddr>),
    /// A pod that another plugin has taken apart, and nobody told ours.
    Orphan(Box<Known>),
}

impl std::fmt::Display for Mending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gone(ifindex) | Self::Stray(ifindex) => write!(f, "interface {ifindex}"),
            Self::Missing(known, _) | Self::Orphan(known) => {
                write!(f, "{} of network {} (pod {})", known.attachment, known.network, known.record.pod)
            }
        }
    }
}

/// What is to be put right. Pure.
fn mendings(seen: &Seen) -> Vec<Mending> {
    let interfaces = seen.held().into_iter().filter_map(|ifindex| {
        let is_recorded = seen.known.iter().any(|known| known.record.host_ifindex == Some(ifindex));
        match seen.links.get(&ifindex) {
            None => Some(Mending::Gone(ifindex)),
            // A veth that no record names may be a pod's whose record was lost: it goes on working.
            Some(link) if link.kind != VETH && !is_recorded => Some(Mending::Stray(ifindex)),
            Some(_) => None,
        }
    });
    interfaces.chain(seen.known.iter().filter_map(|known| mending_of(seen, known))).collect()
}

fn mending_of(seen: &Seen, known: &Known) -> Option<Mending> {
    let record = &known.record;
    let ifindex = record.host_ifindex?;
    if !seen.links.contains_key(&ifindex) {
        // The runtime's DEL for a pod of our own gives its addresses back, and removes its record.
        return record.chained.then(|| Mending::Orphan(Box::new(known.clone())));
    }
    if !record.complete {
        return None;
    }
    let is_right = |ip: &IpAddr| {
        seen.endpoints.get(ip).is_some_and(|endpoint| {
            // Another plugin may give an address to the next pod while the last one's link is still there.
            is_of(endpoint, record) || endpoint.ifindex != ifindex && seen.is_recorded(*ip, endpoint.ifindex)
        })
    };
    let missing: Vec<IpAddr> = record.addresses.iter().filter(|ip| !is_right(ip)).copied().collect();
    (!missing.is_empty()).then(|| Mending::Missing(Box::new(known.clone()), missing))
}

/// Whether an endpoint is what the record makes of its address. Its flags are others' business.
fn is_of(endpoint: &Endpoint, record: &Record) -> bool {
    Some(endpoint.ifindex) == record.host_ifindex
        && endpoint.pod_mac.to_string() == record.pod_mac
        && endpoint.host_mac.to_string() == record.host_mac
}
