//! Taking attachments apart: for DEL, for GC, for an ADD that failed and for one that was killed.
//!
//! The order is that of use: first nobody is sent there any more (data plane), then there is no link, then the
//! addresses are free, and the record goes last. Every step is content with what is gone already, every step is tried,
//! and while one has failed the record stays, so that the next attempt knows what is left to do. Of an attachment whose
//! interface is another plugin's only the first step is ours.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use caracal_ipam::{
    Attachment, Ipam,
    protocol::{CniError, Request},
};
use nix::errno::Errno;

use crate::{
    Error, agent,
    bandwidth::{Bandwidth, PodLink},
    config::{Places, is_chained},
    dataplane::DataPlane,
    identity::Identity,
    netlink::{Link, Socket, link_by_index, link_by_name},
    netns::Netns,
    record::{Record, RecordFile},
    source,
    vanish::{self, OtherEnd},
    wiring::forget_batch,
};

/// What taking apart goes by.
#[derive(Debug)]
pub(super) struct Release<'a> {
    request: &'a Request,
    pub(super) places: Places,
}

impl<'a> Release<'a> {
    pub(super) fn of(request: &'a Request) -> Self {
        Self { request, places: Places::of(request) }
    }

    /// Takes `attachment` apart, as its record says or, without one, as its name leads. Gives every error.
    pub(super) fn release(&self, attachment: &Attachment) -> Vec<String> {
        match RecordFile::open(&self.places.records(&self.request.network), attachment) {
            Ok(Some(file)) => self.release_recorded(attachment, file),
            Ok(None) => self.release_unrecorded(attachment),
            Err(e) => vec![e.to_string()],
        }
    }

    /// Takes apart what there is no record of.
    pub(super) fn release_unrecorded(&self, attachment: &Attachment) -> Vec<String> {
        self.dismantle(attachment, &Record::default())
    }

    /// Takes apart what `file` is the record of, and removes it.
    pub(super) fn release_recorded(&self, attachment: &Attachment, file: RecordFile) -> Vec<String> {
        let mut errors = self.dismantle(attachment, file.record());
        if errors.is_empty() {
            agent::remove(&self.places, &self.request.network, attachment, file.record());
            errors.extend(file.remove().err().map(|e| e.to_string()));
        }
        errors
    }

    /// The same for an ADD that was killed or attached what is there no more: whatever comes next needs it gone.
    pub(super) fn clear_remains(&self, attachment: &Attachment, file: RecordFile) -> Result<(), Error> {
        let errors = self.release_recorded(attachment, file);
        if errors.is_empty() {
            return Ok(());
        }
        Err(Error::Remains { attachment: attachment.to_string(), errors: errors.join("; ") })
    }

    /// The error of an ADD that failed, and of undoing it if that failed as well.
    pub(super) fn undone(error: CniError, errors: &[String]) -> CniError {
        if errors.is_empty() {
            return error;
        }
        let details = [error.details.as_str(), "and it could not be undone:", &errors.join("; ")].join(" ");
        error.with_details(details.trim_start())
    }

    /// Takes apart every attachment of the network but the `valid` ones.
    pub(super) fn release_all_but(&self, valid: &BTreeSet<Attachment>) -> Vec<String> {
        let mut errors = Vec::new();
        let mut known = BTreeSet::new();
        match RecordFile::list(&self.places.records(&self.request.network)) {
            Ok(recorded) => known.extend(recorded),
            Err(e) => errors.push(e.to_string()),
        }
        let gives_addresses = !is_chained(&self.request.conf());
        if gives_addresses {
            match Ipam::new(&self.places.data_dir, &self.request.network).attachments() {
                Ok(holders) => known.extend(holders),
                Err(e) => errors.push(e.to_string()),
            }
        }
        for attachment in known.difference(valid) {
            log::info!("{}: {attachment} is not valid any more", self.request.network);
            errors.extend(self.release(attachment));
        }
        if gives_addresses {
            let collected = source::collect(self.request, &self.places.data_dir, valid);
            errors.extend(collected.iter().map(ToString::to_string));
        } else {
            errors.extend(self.forget_gone(None));
        }
        errors
    }

    /// Whether the interface is another plugin's: as the record says or, if that is lost or unreadable, the
    /// configuration.
    pub(super) fn is_chained(&self, record: Option<&Record>) -> bool {
        match record.filter(|record| **record != Record::default()) {
            Some(record) => record.chained,
            None => is_chained(&self.request.conf()),
        }
    }

    /// Where the data plane was pinned.
    pub(super) fn bpffs(&self, record: &Record) -> PathBuf {
        known(&record.bpffs, &self.places.bpffs)
    }

    fn dismantle(&self, attachment: &Attachment, record: &Record) -> Vec<String> {
        if self.is_chained(Some(record)) {
            let mut errors = self.detach(record.host_ifindex, record);
            errors.extend(lift_limits(attachment, record).err());
            return errors.iter().map(ToString::to_string).collect();
        }
        let network = &self.request.network;
        let data_dir = known(&record.data_dir, &self.places.data_dir);
        let mut errors: Vec<Error> = Vec::new();
        let mut record = record.clone();
        if record.addresses.is_empty() {
            match Ipam::new(&data_dir, network).addresses(attachment) {
                Ok(held) => record.addresses = held,
                Err(e) => errors.push(e.into()),
            }
        }
        let link = find_link(network, attachment, &record).unwrap_or_else(|e| {
            errors.push(e);
            None
        });
        let ifindex = record.host_ifindex.or(link.as_ref().map(|link| link.index));
        let data_plane = ifindex.and_then(|ifindex| match DataPlane::open(&self.bpffs(&record)) {
            Ok(data_plane) => Some((data_plane, ifindex)),
            Err(e) => {
                errors.push(e.into());
                None
            }
        });
        if let Some((data_plane, ifindex)) = &data_plane {
            errors.extend(unmap_ports(data_plane, *ifindex, &record).err());
            errors.extend(data_plane.withdraw(*ifindex, &record.addresses).into_iter().map(Error::from));
        }
        match link.map_or(Ok(()), |link| delete_link(&link, &record, attachment)) {
            Err(e) => errors.push(e),
            // The programs went with the link.
            Ok(()) => {
                errors.extend(data_plane.and_then(|(it, ifindex)| it.forget_link(ifindex).err()).map(Error::from));
            }
        }
        errors.extend(forget_rules(&record).err());
        errors.extend(source::give_back(self.request, &data_dir, &record, attachment));
        errors.iter().map(ToString::to_string).collect()
    }

    /// Takes the link `ifindex` and all that are gone out of the data plane, by what that knows of them.
    pub(super) fn forget_gone(&self, ifindex: Option<u32>) -> Vec<String> {
        let opened = Socket::open().map_err(Error::from).and_then(|socket| {
            let data_plane = DataPlane::open(&self.bpffs(&Record::default()))?;
            Ok((socket, data_plane))
        });
        let (mut socket, data_plane) = match opened {
            Ok(opened) => opened,
            Err(e) => return vec![e.to_string()],
        };
        let is_gone = |index| Some(index) == ifindex || matches!(link_by_index(&mut socket, index), Ok(None));
        data_plane.forget(is_gone).iter().map(ToString::to_string).collect()
    }

    /// Takes a link out of the data plane.
    fn detach(&self, ifindex: Option<u32>, record: &Record) -> Vec<Error> {
        let Some(ifindex) = ifindex else { return Vec::new() };
        match DataPlane::open(&self.bpffs(record)) {
            Ok(data_plane) => {
                let mut errors: Vec<Error> = unmap_ports(&data_plane, ifindex, record).err().into_iter().collect();
                errors.extend(data_plane.detach(ifindex, &record.addresses).into_iter().map(Error::from));
                errors
            }
            Err(e) => vec![e.into()],
        }
    }
}

fn known(recorded: &Path, configured: &Path) -> PathBuf {
    if recorded.as_os_str().is_empty() { configured.to_owned() } else { recorded.to_owned() }
}

/// Without a record there may be some.
fn unmap_ports(data_plane: &DataPlane, ifindex: u32, record: &Record) -> Result<(), Error> {
    if record.has_ports || record.host_ifindex.is_none() {
        data_plane.unmap_ports(ifindex)?;
    }
    Ok(())
}

/// Takes our limits off a link that stays.
fn lift_limits(attachment: &Attachment, record: &Record) -> Result<(), Error> {
    let Some(index) = record.host_ifindex.filter(|_| !record.bandwidth.is_unlimited()) else { return Ok(()) };
    if link_by_index(&mut Socket::open()?, index)?.is_none() {
        return Ok(());
    }
    let netns = Netns::open(Path::new(&record.netns), true).ok();
    PodLink::open(index, netns.as_ref(), attachment.ifname(), &Bandwidth::default(), 0)?.apply().map(drop)
}

/// Removes what the pod's namespace has about its addresses and does not lose with the link.
fn forget_rules(record: &Record) -> Result<(), Error> {
    let entered = Netns::open(Path::new(&record.netns), true).and_then(|netns| netns.run(Socket::open));
    // A namespace that is gone has no rules.
    let Ok(socket) = entered else { return Ok(()) };
    match socket?.execute(&forget_batch(&record.addresses)) {
        // Neither has one of a kernel that knows none.
        Err(e) if e.is(Errno::EAFNOSUPPORT) => Ok(()),
        outcome => Ok(outcome.map(drop)?),
    }
}

/// The attachment's host-side veth, if there is one: a link of its name that has its hardware address too.
fn find_link(network: &str, attachment: &Attachment, record: &Record) -> Result<Option<Link>, Error> {
    let identity = Identity::of(network, attachment);
    let name = if record.host_ifname.is_empty() { &identity.host_ifname } else { &record.host_ifname };
    let link = link_by_name(&mut Socket::open()?, name)?;
    Ok(link.filter(|link| link.mac == Some(identity.host_mac)))
}

fn delete_link(link: &Link, record: &Record, attachment: &Attachment) -> Result<(), Error> {
    let netns = Netns::open(Path::new(&record.netns), true).ok();
    let pod_end = netns.as_ref().map(|netns| OtherEnd { netns, ifname: attachment.ifname() });
    Ok(vanish::delete(link, pod_end)?)
}
