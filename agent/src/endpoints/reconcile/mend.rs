//! Putting right what differs, each under the lock of its record and with a line that says so.

use std::{net::IpAddr, path::Path};

use caracal_cni_plugin::{
    config::{Attach, IPAM_TYPE},
    dataplane::{DataPlane, PodLink, Queues},
    record::{Known, Record, RecordFile},
};
use caracal_datapath::{Pinned, abi::Mac};
use caracal_ipam::Ipam;
use caracal_netlink::{Socket, link_by_index};

use super::{Error, Mending, is_of};
use crate::endpoints::tally::{REPAIRS, Repair};

pub(super) fn mend(run_dir: &Path, pinned: &Pinned, mending: &Mending) -> Result<(), Error> {
    match mending {
        Mending::Gone(ifindex) => forget_gone(pinned, *ifindex),
        Mending::Stray(ifindex) => forget_stray(pinned, *ifindex),
        Mending::Missing(known, missing) => put_back(run_dir, pinned, known, missing),
        Mending::Orphan(known) => remove_record(run_dir, known),
    }
}

fn forget_gone(pinned: &Pinned, ifindex: u32) -> Result<(), Error> {
    // All that are gone, at the first of them; it says which.
    REPAIRS.count(Repair::Forgotten, pinned.forget_gone()?);
    if pinned.linked()?.contains(&ifindex) {
        pinned.forget_link(ifindex)?;
        log::info!("interface {ifindex} is gone; the pin of its program's link is removed");
        REPAIRS.count(Repair::Pin, 1);
    }
    Ok(())
}

/// What nobody but somebody who writes into maps by hand can have made.
fn forget_stray(pinned: &Pinned, ifindex: u32) -> Result<(), Error> {
    let endpoints = pinned.endpoints()?;
    let theirs: Vec<IpAddr> =
        endpoints.iter().filter(|(_, endpoint)| endpoint.ifindex == ifindex).map(|(ip, _)| *ip).collect();
    pinned.unmap_ports(ifindex)?;
    for ip in &theirs {
        pinned.remove_endpoint(*ip, ifindex)?;
    }
    if theirs.is_empty() {
        return Ok(());
    }
    log::warn!("interface {ifindex} is no pod's, but had the addresses {theirs:?} of one; they are forgotten");
    REPAIRS.count(Repair::Forgotten, 1);
    Ok(())
}

fn put_back(run_dir: &Path, pinned: &Pinned, known: &Known, missing: &[IpAddr]) -> Result<(), Error> {
    let Some(file) = lock(run_dir, known)? else { return Ok(()) };
    let record = file.record();
    let Some(ifindex) = record.host_ifindex.filter(|_| record.complete && *record == known.record) else {
        return Ok(());
    };
    if link_by_index(&mut Socket::open()?, ifindex)?.is_none() || !holds(known, missing)? {
        return Ok(());
    }
    let missing = still_missing(pinned, record, missing)?;
    if missing.is_empty() {
        return Ok(());
    }
    let link = PodLink { ifindex, pod_mac: mac(&record.pod_mac)?, host_mac: mac(&record.host_mac)? };
    // What else is on the link is seen with the next look at its queues.
    let queues = Queues { attach: Attach::Tcx, queued: true, filtered: true };
    DataPlane::open(&record.bpffs)?.attach(link, queues, &missing)?;
    log::info!("{} of network {} (pod {}): put back with {missing:?}", known.attachment, known.network, record.pod);
    REPAIRS.count(Repair::PutBack, 1);
    Ok(())
}

/// Without what has come since records were read. An endpoint of another interface goes, and its flows with it.
fn still_missing(pinned: &Pinned, record: &Record, missing: &[IpAddr]) -> Result<Vec<IpAddr>, Error> {
    let mut still = Vec::new();
    for ip in missing {
        match pinned.endpoint(*ip)? {
            Some(endpoint) if is_of(&endpoint, record) => continue,
            Some(other) if Some(other.ifindex) != record.host_ifindex => pinned.remove_endpoint(*ip, other.ifindex)?,
            _ => {}
        }
        still.push(*ip);
    }
    Ok(still)
}

/// Whether our address store, where the addresses are from there, says the same as the record.
fn holds(known: &Known, addresses: &[IpAddr]) -> Result<bool, Error> {
    let Record { chained, ipam, data_dir, .. } = &known.record;
    if *chained || ipam != IPAM_TYPE {
        return Ok(true);
    }
    let held = Ipam::new(data_dir, &known.network).addresses(&known.attachment)?;
    let strange: Vec<_> = addresses.iter().filter(|ip| !held.contains(ip)).collect();
    if !strange.is_empty() {
        let Known { network, attachment, .. } = known;
        log::warn!("{attachment} of network {network}: its record says {strange:?}, the address store does not");
    }
    Ok(strange.is_empty())
}

/// The pod is gone, and its DEL did not come here: our entry was taken out of a vendor's list, or failed.
fn remove_record(run_dir: &Path, known: &Known) -> Result<(), Error> {
    let Some(file) = lock(run_dir, known)? else { return Ok(()) };
    let Some(ifindex) = file.record().host_ifindex.filter(|_| file.record().chained) else { return Ok(()) };
    if link_by_index(&mut Socket::open()?, ifindex)?.is_some() {
        return Ok(());
    }
    file.remove()?;
    let Known { network, attachment, record } = known;
    log::info!(
        "{attachment} of network {network} (pod {}): its interface is gone and nobody said so; its record is removed",
        record.pod
    );
    REPAIRS.count(Repair::Record, 1);
    Ok(())
}

fn lock(run_dir: &Path, known: &Known) -> Result<Option<RecordFile>, Error> {
    Ok(RecordFile::try_open(&run_dir.join("endpoints").join(&known.network), &known.attachment)?)
}

fn mac(text: &str) -> Result<Mac, Error> {
    text.parse().map_err(Error::Mac)
}
