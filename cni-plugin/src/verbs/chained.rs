//! Chained mode: another plugin made the interface and gave it addresses; ours is only the data plane.
//!
//! Invariants: the previous result is answered as it came; no link, address or route is changed, and no IPAM called; DEL
//! always succeeds. Plugins are taken apart in reverse order and the first error ends that, so an error of ours would
//! keep the vendor's DEL from running and its address from being freed. What a DEL could not undo is logged, and its
//! record stays for the next DEL, for GC and for the agent; the endpoint of an address that has a new owner by then is
//! the new owner's, because endpoints are removed by address and link.

use std::net::IpAddr;

use caracal_datapath::attach::PRIORITY;
use caracal_ipam::protocol::{Added, CniError, Previous, Request, Target};

use super::{Release, pod_name, require_data_plane};
use crate::{
    Error, agent,
    bandwidth::{self, Bandwidth},
    config::{Config, Policy},
    dataplane::{DataPlane, PodLink, Queues},
    netlink::{Socket, has_foreign_ingress_filter, has_ingress_filter, is_queued},
    netns::Netns,
    peer::{self, Pair, Unsuitable},
    ports::{Wish, mappings},
    record::{Begun, Record, RecordFile},
};

pub(super) fn add(request: &Request, target: &Target, previous: Previous) -> Result<Added, CniError> {
    let netns_path = target.netns()?;
    let config = Config::parse(request)?;
    let data_plane = DataPlane::open(&config.places.bpffs).map_err(Error::from)?;
    require_data_plane(&config, &data_plane)?;
    let netns = Netns::open(netns_path, target.own_netns_allowed).map_err(Error::from)?;
    match peer::find(&netns, target.attachment.ifname())? {
        Ok(pair) => attach(request, target, &config, &data_plane, &pair, &previous)?,
        Err(unsuitable) if config.policy == Policy::Required => return Err(Error::from(unsuitable).into()),
        Err(unsuitable) => log::warn!("{}: {unsuitable}; it is left to the kernel", target.attachment),
    }
    Ok(Added::Unchanged(previous.in_version(request.version)))
}

fn attach(
    request: &Request,
    target: &Target,
    config: &Config,
    data_plane: &DataPlane,
    pair: &Pair,
    previous: &Previous,
) -> Result<(), CniError> {
    let record = Record {
        netns: target.netns()?.display().to_string(),
        pod: pod_name(&request.args).unwrap_or_default(),
        chained: true,
        host_ifname: pair.host.name.clone(),
        host_ifindex: Some(pair.host.index),
        host_mac: pair.host_mac.to_string(),
        pod_mac: pair.pod_mac.to_string(),
        addresses: pair.addresses_like(&previous.addresses()),
        bandwidth: config.bandwidth,
        has_ports: !config.ports.is_empty(),
        bpffs: config.places.bpffs.clone(),
        ..Record::default()
    };
    let release = Release::of(request);
    let Some(mut file) = begin(request, target, &release, &record)? else { return Ok(()) };
    let attached = guard(target, config, data_plane, pair, &record.addresses).and_then(|()| {
        let Request { network, args, .. } = request;
        agent::register(&config.places, config.policy, network, &target.attachment, &record, args)?;
        Ok(file.update(|record| record.complete = true)?)
    });
    let Err(error) = attached else { return Ok(()) };
    let errors = release.release_recorded(&target.attachment, file);
    Err(Release::undone(error.into(), &errors))
}

/// Limits what is to be limited, and puts the programs in front of the pod.
fn guard(
    target: &Target,
    config: &Config,
    data_plane: &DataPlane,
    pair: &Pair,
    addresses: &[IpAddr],
) -> Result<(), Error> {
    if !config.bandwidth.is_unlimited() {
        limits(target, pair, &config.bandwidth)?.apply()?;
    }
    let queues = queues_of(pair.host.index, config)?;
    data_plane.attach(pod_link(pair), queues, addresses)?;
    data_plane.map_ports(pair.host.index, &mappings(&config.ports, addresses))
}

fn limits<'a>(target: &'a Target, pair: &Pair, bandwidth: &Bandwidth) -> Result<bandwidth::PodLink<'a>, Error> {
    let netns = Netns::open(target.netns.as_deref().unwrap_or("".as_ref()), target.own_netns_allowed)?;
    bandwidth::PodLink::open(pair.host.index, Some(&netns), target.attachment.ifname(), bandwidth, pair.host.mtu)
}

/// What the plugins before this one had the pod's packets wait for.
fn queues_of(index: u32, config: &Config) -> Result<Queues, Error> {
    let mut socket = Socket::open()?;
    Ok(Queues {
        attach: config.attach,
        queued: is_queued(&mut socket, index)?,
        filtered: has_foreign_ingress_filter(&mut socket, index, PRIORITY)?,
    })
}

/// Writes the record. None if there is nothing to do, because this plugin has attached the very same link before: it
/// is in the list twice.
fn begin(
    request: &Request,
    target: &Target,
    release: &Release<'_>,
    record: &Record,
) -> Result<Option<RecordFile>, Error> {
    let attachment = &target.attachment;
    let dir = release.places.records(&request.network);
    // Twice at most: nobody else may begin this attachment while we do.
    for _ in 0..2 {
        match RecordFile::begin(&dir, attachment, record.clone())? {
            Begun::New(file) => return Ok(Some(file)),
            Begun::Busy => break,
            Begun::Existing(file) if file.record().complete && file.record().host_ifindex == record.host_ifindex => {
                return Ok(None);
            }
            Begun::Existing(file) if file.record().complete && !file.record().chained => {
                return Err(Error::Attached(attachment.to_string()));
            }
            // An ADD that was killed on the way to where this one goes.
            Begun::Existing(mut file) if is_on_the_way(file.record(), record) => {
                file.update(|old| old.clone_from(record))?;
                return Ok(Some(file));
            }
            Begun::Existing(file) => {
                log::warn!("{attachment}: an earlier ADD attached a link that is another one now; it is cleared away");
                release.clear_remains(attachment, file)?;
            }
        }
    }
    Err(Error::Busy(attachment.to_string()))
}

/// Whether all that `begun` can have led to is what `record` is about to do again.
fn is_on_the_way(begun: &Record, record: &Record) -> bool {
    begun.chained
        && !begun.complete
        && (begun.host_ifindex, &begun.bpffs) == (record.host_ifindex, &record.bpffs)
        && begun.addresses.iter().all(|ip| record.addresses.contains(ip))
}

/// Takes the attachment out of the data plane, as far as that is possible.
pub(super) fn del(target: &Target, release: &Release<'_>, file: Option<RecordFile>) {
    let attachment = &target.attachment;
    let errors = match file {
        Some(file) if file.record().chained => release.release_recorded(attachment, file),
        unreadable => {
            let mut errors = forget(target, release);
            errors.extend(unreadable.and_then(|file| file.remove().err()).map(|e| e.to_string()));
            errors
        }
    };
    for error in errors {
        log::error!("{attachment}: {error}; GC or the agent finishes it");
    }
}

/// Without a record: the link is found from inside the pod, if that is still there. If it is not, its links are gone
/// with it, and so are of no use to anybody.
fn forget(target: &Target, release: &Release<'_>) -> Vec<String> {
    let netns = target.netns.as_deref().and_then(|path| Netns::open(path, target.own_netns_allowed).ok());
    let pair = netns.and_then(|netns| peer::find(&netns, target.attachment.ifname()).ok()?.ok());
    release.forget_gone(pair.map(|pair| pair.host.index))
}

/// Whether the interface is what it was, and guarded.
pub(super) fn check(
    target: &Target,
    release: &Release<'_>,
    record: Option<&Record>,
    wishes: &[Wish],
) -> Result<(), Error> {
    let failed = |difference: String| Err(Error::Check(difference));
    let ifname = target.attachment.ifname();
    let path = target.netns.as_deref().unwrap_or("".as_ref());
    let pair = match peer::find(&Netns::open(path, target.own_netns_allowed)?, ifname)? {
        Ok(pair) => pair,
        // ADD let it pass, so there is nothing to miss.
        Err(Unsuitable::NotVeth { .. } | Unsuitable::Elsewhere(_) | Unsuitable::NoAddress(_)) if record.is_none() => {
            return Ok(());
        }
        Err(unsuitable) => return failed(unsuitable.to_string()),
    };
    let Some(record) = record.filter(|record| record.complete) else {
        return failed(format!("there is no record of {}", target.attachment));
    };
    if record.host_ifindex != Some(pair.host.index) {
        let (host, before) = (&pair.host, &record.host_ifname);
        return failed(format!("the host's end of {ifname} is {} (number {}), was {before}", host.name, host.index));
    }
    if let Some(ip) = record.addresses.iter().find(|ip| !pair.addresses.contains(ip)) {
        return failed(format!("{ifname}: address {ip} is gone"));
    }
    let data_plane = DataPlane::open(&release.bpffs(record))?;
    if let Some(missing) = data_plane.missing(pod_link(&pair), &record.addresses)? {
        return failed(format!("{ifname}: {missing}"));
    }
    if let Some(difference) = limits(target, &pair, &record.bandwidth)?.difference()? {
        return failed(difference);
    }
    let index = pair.host.index;
    if let Some(missing) = data_plane.missing_ports(index, &mappings(wishes, &record.addresses))? {
        return failed(missing);
    }
    if data_plane.is_loaded() && !data_plane.has_pin(index) && !has_ingress_filter(&mut Socket::open()?, index)? {
        return failed(format!("{ifname}: no program is attached to its host's end {}", pair.host.name));
    }
    Ok(())
}

fn pod_link(pair: &Pair) -> PodLink {
    PodLink { ifindex: pair.host.index, pod_mac: pair.pod_mac, host_mac: pair.host_mac }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_add_is_gone_on_with_only_if_nothing_of_it_would_be_left_over() {
        let ips = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let record = Record {
            chained: true,
            host_ifindex: Some(7),
            addresses: ips(&["10.0.0.2", "fd00::2"]),
            bpffs: "/b".into(),
            ..Record::default()
        };
        let goes_on = |change: fn(&mut Record)| {
            let mut begun = Record { pod: "a/b".to_owned(), ..record.clone() };
            change(&mut begun);
            is_on_the_way(&begun, &record)
        };
        assert!(goes_on(|_| {}));
        assert!(goes_on(|begun| begun.addresses.truncate(1)));
        assert!(!goes_on(|begun| begun.addresses.push("10.0.0.3".parse().unwrap())));
        assert!(!goes_on(|begun| begun.host_ifindex = Some(8)));
        assert!(!goes_on(|begun| begun.bpffs = "/c".into()));
        assert!(!goes_on(|begun| begun.chained = false));
        assert!(!goes_on(|begun| begun.complete = true));
    }
}
