//! Switching a node over from host-local with its pods running.
//!
//! What host-local has given out is entered in the store as if it had been given out here, before anything is given out
//! here, and again whenever host-local's directory has changed since: host-local may have been switched back to for a
//! while. Its files stay until their attachments go, so that switching back is possible. What vanishes from its
//! directory does not vanish from the store: somebody may have tidied up what was thought to be done with.
//!
//! *Order.* Importing and releasing hold host-local's own lock, and take it before that of an entry. A release removes
//! host-local's file first: whoever imports after that does not find it, and whoever imported before that has made the
//! entry which is released next.
//!
//! *Killed at any instruction.* That an import is finished is noted last, so the next one does it again; what is there
//! already, it leaves alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::SystemTime,
};

use super::Ipam;
use crate::{
    Attachment, Error,
    host_local::{self, HostLocal, Lease, Owner, State},
    store::Entry,
};

/// A directory that changed so shortly ago may change again without its time of change showing it.
const SETTLED_NS: i128 = 2_000_000_000;

impl Ipam {
    /// Enters what host-local has given out, unless nothing has changed there since that was done last.
    pub fn import(&self) -> Result<(), Error> {
        let Some(dir) = self.host_local.as_deref() else { return Ok(()) };
        let Some(state) = State::of(dir)? else { return Ok(()) };
        if self.store.imported() == Some(state) || self.is_shared(state)? {
            return Ok(());
        }
        // An oversight by which every address would be given out twice.
        if let Some(network) = host_local::network_below(dir)? {
            return Err(Error::HostLocalParent { dir: dir.to_owned(), network });
        }
        let Some(host_local) = HostLocal::lock(dir)? else { return Ok(()) };
        let state = host_local.state()?;
        let leases = host_local.leases()?;
        for (set, ip) in host_local.last_reserved()?.into_iter().filter(|(set, _)| self.store.cursor(*set).is_none()) {
            self.store.prepare()?;
            self.store.set_cursor(set, ip);
        }
        self.enter_all(leases)?;
        let now_ns = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_nanos().cast_signed());
        if let Some(state) = state.filter(|state| state.changed_ns + SETTLED_NS < now_ns) {
            self.store.set_imported(state);
        }
        Ok(())
    }

    /// Whether host-local's directory is the store's own, where there is nothing to take over: the store has either
    /// refused to be made there, or found nothing of host-local's.
    fn is_shared(&self, state: State) -> Result<bool, Error> {
        Ok(State::of(self.store.dir())?.is_some_and(|own| own.inode == state.inode))
    }

    fn enter_all(&self, leases: Vec<Lease>) -> Result<(), Error> {
        let mut holders: BTreeMap<Attachment, Vec<IpAddr>> = BTreeMap::new();
        for Lease { ip, owner, path } in leases {
            match owner {
                Owner::Attachment(attachment) | Owner::Container(attachment) => {
                    holders.entry(attachment).or_default().push(ip);
                }
                Owner::Nobody => {
                    log::warn!("{}: empty, so host-local never told anybody this address; it is free", path.display());
                }
                Owner::Unclear(reason) => {
                    log::warn!("{}: {reason}; the address counts as taken until GC", path.display());
                    self.store.hold_for_nobody(ip)?;
                }
            }
        }
        for (attachment, ips) in holders {
            self.enter(&attachment, &ips)?;
        }
        Ok(())
    }

    /// Makes `ips` the attachment's, beside what it has.
    fn enter(&self, attachment: &Attachment, ips: &[IpAddr]) -> Result<(), Error> {
        let mut entry = match Entry::create(&self.store, attachment, ips) {
            // A second time, or after a kill; nobody removes an entry of host-local's while its lock is held.
            Err(Error::Duplicate(_)) => match Entry::open(&self.store, attachment)? {
                None => return Ok(()),
                Some(entry) => entry,
            },
            entry => entry?,
        };
        let (wanted, held) = (entry.wanted()?, entry.addresses()?);
        for ip in ips.iter().filter(|ip| !held.contains(ip)) {
            if !wanted.contains(ip) {
                entry.want(*ip)?;
            }
            if entry.claim(*ip)? {
                log::info!("{attachment} has {ip} from host-local");
            } else {
                log::error!("host-local has given {ip} to {attachment}, but it is held by somebody else here");
            }
        }
        Ok(())
    }

    /// What keeps host-local out while addresses are given back. An address is given back here, whatever becomes of it
    /// there.
    pub(super) fn lock_host_local(&self) -> Option<HostLocal<'_>> {
        let locked = HostLocal::lock(self.host_local.as_deref()?);
        locked.unwrap_or_else(|e| {
            log::warn!("{e}; host-local keeps what it has given out");
            None
        })
    }

    /// Has host-local forget what it gave to `attachment`. Gives the attachments under which that was entered here.
    /// `wanted` is what the attachment's entry says, which is where to look; without an entry everything is looked at.
    pub(super) fn forget(
        host_local: &HostLocal<'_>,
        attachment: &Attachment,
        wanted: Option<&[IpAddr]>,
    ) -> BTreeSet<Attachment> {
        let leases = match wanted {
            Some(ips) => Ok(ips.iter().filter_map(|ip| host_local.lease(*ip)).collect()),
            None => host_local.leases(),
        };
        let mut owners = BTreeSet::new();
        for lease in HostLocal::leases_of(leases.unwrap_or_else(|e| reported(&e)), attachment) {
            if let Err(e) = HostLocal::remove(&lease) {
                reported::<()>(&e);
            }
            if let Owner::Attachment(owner) | Owner::Container(owner) = lease.owner {
                owners.insert(owner);
            }
        }
        owners
    }

    /// Has host-local forget what belongs to nobody.
    pub(super) fn sweep_host_local(&self) -> Result<(), Error> {
        let Some(host_local) = self.lock_host_local() else { return Ok(()) };
        // What is unclear in one's own directory may be one's own.
        if host_local.state()?.map_or(Ok(false), |state| self.is_shared(state))? {
            return Ok(());
        }
        for lease in host_local.leases()? {
            if matches!(lease.owner, Owner::Nobody | Owner::Unclear(_)) {
                HostLocal::remove(&lease)?;
            }
        }
        Ok(())
    }

    /// Whether host-local has given `attachment` an address.
    pub(super) fn is_held_of_host_local(&self, attachment: &Attachment) -> bool {
        let leases = self.lock_host_local().map(|host_local| host_local.leases());
        let leases = leases.map(|leases| leases.unwrap_or_else(|e| reported(&e)));
        leases.is_some_and(|leases| !HostLocal::leases_of(leases, attachment).is_empty())
    }
}

fn reported<T: Default>(error: &Error) -> T {
    log::warn!("{error}; host-local keeps what it has given out");
    T::default()
}

#[cfg(test)]
mod tests;
