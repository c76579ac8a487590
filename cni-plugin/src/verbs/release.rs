//! Taking attachments apart: for DEL, for GC, for an ADD that failed and for one that was killed.
//!
//! The order is that of use: first nobody is sent there any more (data plane), then there is no link, then the
//! addresses are free, and the record goes last. Every step is content with what is gone already, every step is tried,
//! and while one has failed the record stays, so that the next attempt knows what is left to do.

use std::{collections::BTreeSet, path::Path};

use caracal_ipam::{Attachment, Ipam};

use crate::{
    Error,
    config::Places,
    dataplane::DataPlane,
    identity::Identity,
    netlink::{Link, Socket, link_by_name, link_delete},
    record::{Record, RecordFile},
};

/// Takes `attachment` apart, as its record says or, without one, as its name leads. Gives every error.
pub(super) fn release(places: &Places, network: &str, attachment: &Attachment) -> Vec<String> {
    match RecordFile::open(&places.records(network), attachment) {
        Ok(Some(file)) => release_recorded(places, network, attachment, file),
        Ok(None) => dismantle(places, network, attachment, &Record::default()),
        Err(e) => vec![e.to_string()],
    }
}

/// Takes apart what `file` is the record of, and removes it.
pub(super) fn release_recorded(
    places: &Places,
    network: &str,
    attachment: &Attachment,
    file: RecordFile,
) -> Vec<String> {
    let mut errors = dismantle(places, network, attachment, file.record());
    if errors.is_empty() {
        errors.extend(file.remove().err().map(|e| e.to_string()));
    }
    errors
}

/// Takes apart every attachment of `network` but the `valid` ones.
pub(super) fn release_all_but(places: &Places, network: &str, valid: &BTreeSet<Attachment>) -> Vec<String> {
    let ipam = Ipam::new(&places.data_dir, network);
    let mut errors = Vec::new();
    let mut known = BTreeSet::new();
    match RecordFile::list(&places.records(network)) {
        Ok(recorded) => known.extend(recorded),
        Err(e) => errors.push(e.to_string()),
    }
    match ipam.attachments() {
        Ok(holders) => known.extend(holders),
        Err(e) => errors.push(e.to_string()),
    }
    for attachment in known.difference(valid) {
        log::info!("{network}: {attachment} is not valid any more");
        errors.extend(release(places, network, attachment));
    }
    errors.extend(ipam.gc(valid).iter().map(ToString::to_string));
    errors
}

fn dismantle(places: &Places, network: &str, attachment: &Attachment, record: &Record) -> Vec<String> {
    let known = |recorded: &Path, configured: &Path| {
        if recorded.as_os_str().is_empty() { configured.to_owned() } else { recorded.to_owned() }
    };
    let ipam = Ipam::new(&known(&record.data_dir, &places.data_dir), network);
    let bpffs = known(&record.bpffs, &places.bpffs);
    let mut errors: Vec<Error> = Vec::new();
    let mut addresses = record.addresses.clone();
    if addresses.is_empty() {
        match ipam.addresses(attachment) {
            Ok(held) => addresses = held,
            Err(e) => errors.push(e.into()),
        }
    }
    let (mut socket, link) = match find_link(network, attachment, record) {
        Ok((socket, link)) => (Some(socket), link),
        Err(e) => {
            errors.push(e);
            (None, None)
        }
    };
    if let Some(ifindex) = record.host_ifindex.or(link.as_ref().map(|link| link.index)) {
        match DataPlane::open(&bpffs) {
            Ok(data_plane) => errors.extend(data_plane.detach(ifindex, &addresses).into_iter().map(Error::from)),
            Err(e) => errors.push(e.into()),
        }
    }
    if let (Some(socket), Some(link)) = (&mut socket, link) {
        errors.extend(delete_link(socket, &link).err());
    }
    errors.extend(ipam.del(attachment).err().map(Error::from));
    errors.iter().map(ToString::to_string).collect()
}

/// The attachment's host-side veth, if there is one: a link of its name that has its hardware address too.
fn find_link(network: &str, attachment: &Attachment, record: &Record) -> Result<(Socket, Option<Link>), Error> {
    let identity = Identity::of(network, attachment);
    let name = if record.host_ifname.is_empty() { &identity.host_ifname } else { &record.host_ifname };
    let mut socket = Socket::open()?;
    let link = link_by_name(&mut socket, name)?;
    Ok((socket, link.filter(|link| link.mac == Some(identity.host_mac))))
}

fn delete_link(socket: &mut Socket, link: &Link) -> Result<(), Error> {
    match socket.call(link_delete(link.index)) {
        // It went with the container's namespace just now.
        Err(e) if e.is(nix::errno::Errno::ENODEV) => Ok(()),
        outcome => Ok(outcome.map(drop)?),
    }
}
