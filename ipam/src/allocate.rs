//! Allocation: ranges and store together.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    path::{Path, PathBuf},
};

use ipnetwork::IpNetwork;

use crate::{
    Attachment, Config, Error,
    ranges::{Range, RangeSet, Unavailable},
    store::{Entry, Store},
};

/// How many addresses an allocation may lose to others before it gives up.
const ATTEMPTS: u32 = 1000;

/// The addresses of one network on this node.
///
/// Giving back needs no configuration, only to know where the store is: a network whose configuration is broken or gone
/// can still be cleaned up.
#[derive(Clone, Debug)]
pub struct Ipam {
    store: Store,
    /// Where host-local gave addresses out before, if that is to be heeded.
    host_local: Option<PathBuf>,
}

/// An address handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address, with the prefix of its subnet.
    pub address: IpNetwork,
    /// The subnet's gateway.
    pub gateway: IpAddr,
}

impl Lease {
    fn new(ip: IpAddr, range: &Range) -> Option<Self> {
        let address = IpNetwork::new(ip, range.subnet().prefix()).ok()?;
        Some(Self { address, gateway: range.gateway() })
    }
}

impl Ipam {
    /// The addresses of `network`, kept under `data_dir`.
    #[must_use]
    pub fn new(data_dir: &Path, network: &str) -> Self {
        Self::with_store(Store::new(data_dir.join(network)))
    }

    /// The addresses kept in `store`.
    #[must_use]
    pub fn with_store(store: Store) -> Self {
        Self { store, host_local: None }
    }

    /// The same, heeding what host-local has given out of its directory `dir`.
    #[must_use]
    pub fn with_host_local(self, dir: Option<PathBuf>) -> Self {
        Self { host_local: dir, ..self }
    }

    /// Where they are kept.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        self.store.dir().to_owned()
    }

    /// Hands out one address of each range set, or none at all. Sets that contain one of `requested` give that one.
    pub fn add(&self, config: &Config, attachment: &Attachment, requested: &[IpAddr]) -> Result<Vec<Lease>, Error> {
        self.import()?;
        let mut unavailable = Unavailable {
            reserved: config.sets.iter().flat_map(RangeSet::ranges).map(Range::gateway).collect(),
            cooling: self.store.cooling(),
            ..Unavailable::default()
        };
        let wishes = assign(&config.sets, requested, &unavailable)?;
        let cursors: Vec<_> = (0..config.sets.len()).map(|i| self.store.cursor(i)).collect();
        // Most likely nobody holds the next address, so who holds which is only looked up when somebody does.
        let first = config.sets.iter().zip(&wishes).zip(&cursors).map(|((set, wish), cursor)| {
            wish.or_else(|| set.pick(*cursor, &unavailable)).ok_or_else(|| exhausted(set, &unavailable))
        });
        let first = first.collect::<Result<Vec<_>, _>>()?;
        let mut entry = Entry::create(&self.store, attachment, &first)?;
        let mut claimed = Vec::with_capacity(first.len());
        for (i, set) in config.sets.iter().enumerate() {
            match self.claim(&mut entry, set, first[i], wishes[i].is_some(), &mut unavailable) {
                Ok(ip) => claimed.push(ip),
                Err(e) => {
                    entry.abandon(&claimed)?;
                    return Err(e);
                }
            }
        }
        for (i, ip) in claimed.iter().enumerate().filter(|(i, _)| wishes[*i].is_none()) {
            self.store.set_cursor(i, *ip);
        }
        let ranges = config.sets.iter().zip(claimed);
        Ok(ranges.filter_map(|(set, ip)| Lease::new(ip, set.range_of(ip)?)).collect())
    }

    /// Claims `first`, or unless that `is_wish` the next address of `set` that can be had.
    fn claim(
        &self,
        entry: &mut Entry<'_>,
        set: &RangeSet,
        first: IpAddr,
        is_wish: bool,
        unavailable: &mut Unavailable,
    ) -> Result<IpAddr, Error> {
        let mut ip = first;
        for _ in 0..ATTEMPTS {
            if entry.claim(ip)? {
                return Ok(ip);
            }
            if is_wish {
                return Err(Error::InUse(ip));
            }
            // Looked up anew each time: what somebody has let go of meanwhile is to be had.
            unavailable.taken = self.store.taken()?;
            ip = set.pick(Some(ip), unavailable).ok_or_else(|| exhausted(set, unavailable))?;
            entry.want(ip)?;
        }
        Err(Error::Contended(ATTEMPTS))
    }

    /// Takes back what `attachment` holds and says what that was; nothing if it holds nothing.
    pub fn del(&self, attachment: &Attachment) -> Result<Vec<IpAddr>, Error> {
        let host_local = self.lock_host_local();
        let mut entry = Entry::open(&self.store, attachment)?;
        let mut released = Vec::new();
        if let Some(host_local) = &host_local {
            let wanted = entry.as_mut().map(Entry::wanted).transpose()?;
            let owners = Self::forget(host_local, attachment, wanted.as_deref());
            for owner in owners.iter().filter(|owner| *owner != attachment) {
                released.extend(Entry::open(&self.store, owner)?.map_or(Ok(Vec::new()), Entry::release)?);
            }
        }
        released.extend(entry.map_or(Ok(Vec::new()), Entry::release)?);
        Ok(released)
    }

    /// What `attachment` holds, in no particular order.
    pub fn addresses(&self, attachment: &Attachment) -> Result<Vec<IpAddr>, Error> {
        Entry::open(&self.store, attachment)?.map_or(Ok(Vec::new()), |mut entry| entry.addresses())
    }

    /// Verifies that `attachment` holds addresses. Not which: ranges may have changed since.
    pub fn check(&self, attachment: &Attachment) -> Result<(), Error> {
        if !self.addresses(attachment)?.is_empty() || self.is_held_of_host_local(attachment) {
            return Ok(());
        }
        Err(Error::NotHeld(attachment.clone()))
    }

    /// Every attachment that holds addresses, or was about to.
    pub fn attachments(&self) -> Result<Vec<Attachment>, Error> {
        self.store.attachments()
    }

    /// Takes back what attachments outside of `valid` hold, and addresses that have lost their entry. Goes on after an
    /// error; gives all errors.
    #[must_use]
    pub fn gc(&self, valid: &BTreeSet<Attachment>) -> Vec<Error> {
        let mut errors = Vec::new();
        errors.extend(self.import().err());
        match self.attachments() {
            Ok(attachments) => {
                let stale = attachments.iter().filter(|attachment| !valid.contains(attachment));
                errors.extend(stale.filter_map(|attachment| self.del(attachment).err()));
            }
            Err(e) => errors.push(e),
        }
        errors.extend(self.sweep_host_local().err());
        errors.extend(self.store.sweep_orphans().err());
        errors
    }

    /// Whether every range set has an address left.
    pub fn status(&self, config: &Config) -> Result<(), Error> {
        self.import()?;
        let unavailable = Unavailable {
            reserved: config.sets.iter().flat_map(RangeSet::ranges).map(Range::gateway).collect(),
            taken: self.store.taken()?,
            cooling: self.store.cooling(),
        };
        match config.sets.iter().find(|set| set.pick(None, &unavailable).is_none()) {
            None => Ok(()),
            Some(set) => Err(exhausted(set, &unavailable)),
        }
    }
}

/// Which requested address each set is to give.
fn assign(sets: &[RangeSet], requested: &[IpAddr], unavailable: &Unavailable) -> Result<Vec<Option<IpAddr>>, Error> {
    let mut wishes = vec![None; sets.len()];
    for ip in requested {
        if unavailable.reserved.contains(ip) {
            return Err(Error::Gateway(*ip));
        }
        let free = sets.iter().zip(&mut wishes).find(|(set, wish)| wish.is_none() && set.range_of(*ip).is_some());
        let (set, wish) = free.ok_or(Error::NoSuchRange(*ip))?;
        if set.range_of(*ip).is_some_and(|range| range.excludes(*ip)) {
            return Err(Error::Excluded(*ip));
        }
        *wish = Some(*ip);
    }
    Ok(wishes)
}

fn exhausted(set: &RangeSet, unavailable: &Unavailable) -> Error {
    let Unavailable { reserved, taken, cooling } = unavailable;
    let gives = |ip: &&IpAddr| set.gives(**ip);
    let can_be_had = |ip: &&IpAddr| !taken.contains(*ip) && !reserved.contains(*ip);
    Error::Exhausted {
        set: set.to_string(),
        size: set.size() - reserved.iter().filter(gives).count() as u128,
        used: taken.iter().filter(gives).count(),
        cooling: cooling.iter().filter(gives).filter(can_be_had).count(),
    }
}

mod import;
#[cfg(test)]
mod tests;
