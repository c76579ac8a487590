//! ADD.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    thread,
    time::Duration,
};

use caracal_ipam::protocol::{AddResult, CniError, Request, Target};
use nix::errno::Errno;

use super::{Release, pod_name, require_data_plane};
use crate::{
    Error, agent,
    config::{Config, Places},
    dataplane::{DataPlane, PodLink, Queues},
    identity::Identity,
    netlink::{Link, Socket, VethEnd, device_towards, is_own, link_by_index, link_by_name, link_delete, veth_add},
    netns::Netns,
    ports::mappings,
    record::{Begun, Record, RecordFile},
    source::{Given, Source},
    sysctl,
    wiring::{Plan, pod_routes},
};

/// Addresses set aside for documentation, which only a default route leads to.
const SOMEWHERE: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 1))];

/// The loopback interface is the first of every namespace.
const LOOPBACK: u32 = 1;

/// The MTU where there is no default route to take it from.
const DEFAULT_MTU: u32 = 1500;

/// How often, and how far apart, the kernel is asked whether a pod can be reached: it takes a second at worst.
const SETTLE_ATTEMPTS: u32 = 1000;
const SETTLE_WAIT: Duration = Duration::from_millis(1);

/// An ADD that has all it needs to begin, and has changed nothing yet.
struct Add<'a> {
    request: &'a Request,
    target: &'a Target,
    config: Config,
    source: Source<'a>,
    identity: Identity,
    netns: Netns,
    data_plane: DataPlane,
}

pub(super) fn add(request: &Request, target: &Target) -> Result<AddResult, CniError> {
    let netns_path = target.netns()?;
    let config = Config::parse(request)?;
    let source = Source::of(request, &config)?;
    let data_plane = DataPlane::open(&config.places.bpffs).map_err(Error::from)?;
    require_data_plane(&config, &data_plane)?;
    let add = Add {
        identity: Identity::of(&request.network, &target.attachment).with_pod_mac(config.mac),
        netns: Netns::open(netns_path, target.own_netns_allowed).map_err(Error::from)?,
        request,
        target,
        config,
        source,
        data_plane,
    };
    let release = Release::of(request);
    let mut record = add.begin(&release)?;
    match add.run(&mut record) {
        Ok(result) => Ok(result),
        Err(error) => {
            let errors = release.release_recorded(&target.attachment, record);
            Err(Release::undone(error.into(), &errors))
        }
    }
}

impl Add<'_> {
    /// Writes the record that says what is about to be made. The remains of an ADD that was killed are cleared away
    /// first; what a living one works on, or a finished one made, is left alone.
    fn begin(&self, release: &Release<'_>) -> Result<RecordFile, Error> {
        let attachment = &self.target.attachment;
        let Places { bpffs, data_dir, .. } = self.config.places.clone();
        let record = Record {
            netns: self.target.netns.as_deref().unwrap_or("".as_ref()).display().to_string(),
            pod: pod_name(&self.request.args).unwrap_or_default(),
            host_ifname: self.identity.host_ifname.clone(),
            host_mac: self.identity.host_mac.to_string(),
            pod_mac: self.identity.pod_mac.to_string(),
            bandwidth: self.config.bandwidth,
            has_ports: !self.config.ports.is_empty(),
            ipam: self.source.kind().to_owned(),
            data_dir,
            bpffs,
            ..Record::default()
        };
        let dir = self.config.places.records(&self.request.network);
        // Twice at most: nobody else may begin this attachment while we do.
        for _ in 0..2 {
            match RecordFile::begin(&dir, attachment, record.clone())? {
                Begun::New(file) => return Ok(file),
                Begun::Busy => break,
                Begun::Existing(file) if file.record().complete => return Err(Error::Attached(attachment.to_string())),
                Begun::Existing(file) => {
                    log::warn!("{attachment}: an earlier ADD was killed; its remains are cleared away");
                    release.clear_remains(attachment, file)?;
                }
            }
        }
        Err(Error::Busy(attachment.to_string()))
    }

    /// Makes everything, and says what that was.
    fn run(&self, record: &mut RecordFile) -> Result<AddResult, Error> {
        let given = self.source.take(&self.target.attachment)?;
        let mut host = Socket::open()?;
        let mut plan = self.plan(&mut host, &given)?;
        let with_ipv6 = plan.addresses.iter().any(IpAddr::is_ipv6);
        let inside = || Ok((Socket::open()?, with_ipv6 && sysctl::ipv6_is_off_by_default()?));
        let (mut pod, ipv6_is_off) = self.netns.run(inside)?.map_err(|e: Error| e)?;
        let (link, peer) = self.make_veth(&mut host, &plan)?;
        record.update(|record| {
            record.host_ifindex = Some(link);
            record.addresses.clone_from(&plan.addresses);
            record.given.clone_from(&given.as_told);
        })?;
        if plan.has_ipv6 {
            sysctl::prepare_host_end(&self.identity.host_ifname, with_ipv6)?;
        }
        // The programs are in place before the pod can send, and before the link is on: one that is on, the kernel would
        // switch off for its new qdisc.
        let Identity { host_mac, pod_mac, .. } = self.identity;
        let queues =
            Queues { attach: self.config.attach, queued: self.config.bandwidth.ingress.is_some(), filtered: false };
        self.data_plane.attach(PodLink { ifindex: link, pod_mac, host_mac }, queues, &plan.addresses)?;
        host.execute(&plan.host_batch(link))?;
        self.data_plane.map_ports(link, &mappings(&self.config.ports, &plan.addresses))?;
        if ipv6_is_off {
            self.netns.run(|| sysctl::enable_ipv6(&plan.ifname))??;
        }
        let (batch, first_route) = plan.pod_batch(peer);
        let had_already = pod.execute(&batch)?;
        let mut position = first_route..;
        let taken = |_: &mut _| position.next().is_some_and(|position| had_already.contains(&position));
        let taken: Vec<_> = plan.routes.extract_if(.., taken).collect();
        pod.execute(&plan.beside_batch(peer, &taken))?;
        await_reachable(&mut host, link, &mut pod, &plan.addresses)?;
        let (places, attachment) = (&self.config.places, &self.target.attachment);
        let Request { network, args, .. } = self.request;
        agent::register(places, self.config.policy, network, attachment, record.record(), args)?;
        record.update(|record| record.complete = true)?;
        let netns = self.target.netns.as_deref().unwrap_or("".as_ref()).to_string_lossy();
        Ok(plan.result(&netns, self.config.dns(given.dns)))
    }

    fn plan(&self, host: &mut Socket, given: &Given) -> Result<Plan, Error> {
        let has_ipv6 = sysctl::has_ipv6();
        let Given { addresses, routes, .. } = given;
        if !has_ipv6 && addresses.iter().any(IpAddr::is_ipv6) {
            return Err(Error::NoIpv6);
        }
        Ok(Plan {
            identity: self.identity.clone(),
            ifname: self.target.attachment.ifname().to_owned(),
            mtu: self.config.mtu.map_or_else(|| mtu_of_default_route(host), Ok)?,
            routes: pod_routes(addresses, routes),
            addresses: addresses.clone(),
            alias: pod_name(&self.request.args),
            has_ipv6,
            bandwidth: self.config.bandwidth,
        })
    }

    /// Makes the pair; the numbers of the host's end and of the pod's.
    fn make_veth(&self, host: &mut Socket, plan: &Plan) -> Result<(u32, u32), Error> {
        let Identity { host_ifname, host_mac, pod_mac } = &self.identity;
        let host_end = VethEnd { name: host_ifname, mac: *host_mac };
        let pod_end = VethEnd { name: &plan.ifname, mac: *pod_mac };
        let mut made = veth_add(host, host_end, pod_end, &self.netns, plan.mtu);
        if made.as_ref().is_err_and(|e| e.is(Errno::EEXIST)) {
            match link_by_name(host, host_ifname)? {
                None => return Err(Error::IfnameTaken(plan.ifname.clone())),
                // Ours, from before its record was lost.
                Some(Link { index, mac, .. }) if mac == Some(*host_mac) => {
                    host.call(link_delete(index))?;
                    made = veth_add(host, host_end, pod_end, &self.netns, plan.mtu);
                }
                Some(_) => return Err(Error::HostIfnameTaken(host_ifname.clone())),
            }
        }
        let Link { index, peer, .. } = made?;
        let peer = peer.filter(|peer| *peer > 0);
        Ok((index, peer.ok_or_else(|| Error::NoPeer(host_ifname.clone()))?))
    }
}

/// Waits until the pod can be reached: what the kernel leaves to work queues is done then. Otherwise the first packets to
/// a new pod are lost now and then, and a connection to it begins a second late.
///
/// The host's end was switched on before the pod's end was, so it had no carrier, and until the kernel has acted on the
/// carrier it drops what is sent there. Asking for the link makes kernels from 6.8 on act on it at once ("net: core:
/// synchronize link-watch when carrier is queried"). And an IPv6 address becomes the pod's own some time after
/// it was added, duplicate detection or not.
fn await_reachable(host: &mut Socket, link: u32, pod: &mut Socket, addresses: &[IpAddr]) -> Result<(), Error> {
    await_true("the carrier", || Ok(link_by_index(host, link)?.is_some_and(|link| link.is_operational)))?;
    for ip in addresses.iter().filter(|ip| ip.is_ipv6()) {
        await_true("the address", || Ok(is_own(pod, *ip)?))?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the kernel does not tell when")]
fn await_true(what: &str, mut condition: impl FnMut() -> Result<bool, Error>) -> Result<(), Error> {
    for _ in 0..SETTLE_ATTEMPTS {
        if condition()? {
            return Ok(());
        }
        thread::sleep(SETTLE_WAIT);
    }
    log::warn!("{what} of the new pod is not there yet; the first packets to it may be lost");
    Ok(())
}

fn mtu_of_default_route(socket: &mut Socket) -> Result<u32, Error> {
    for somewhere in SOMEWHERE {
        // What leads to loopback is the node's own address: no way out, and a larger MTU than a veth can have.
        if let Some(index) = device_towards(socket, somewhere)?.filter(|index| *index != LOOPBACK)
            && let Some(link) = link_by_index(socket, index)?
        {
            return Ok(link.mtu);
        }
    }
    Ok(DEFAULT_MTU)
}
