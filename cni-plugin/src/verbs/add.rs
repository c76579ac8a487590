//! ADD.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use caracal_ipam::{
    Config as IpamConfig, Ipam,
    config::requested_addresses,
    plugin::{read_config, read_resolv_conf},
    protocol::{AddResult, Args, CniError, Dns, Request, Target},
};
use nix::errno::Errno;

use super::{release::release_recorded, require_data_plane};
use crate::{
    Error,
    config::{Config, Places},
    dataplane::{DataPlane, PodLink},
    identity::Identity,
    netlink::{Link, Socket, VethEnd, device_towards, link_by_index, link_by_name, link_delete, veth_add},
    netns::Netns,
    record::{Begun, Record, RecordFile},
    sysctl,
    wiring::{Plan, pod_routes},
};

/// Addresses set aside for documentation, which only a default route leads to.
const SOMEWHERE: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 1))];

/// The MTU where there is no default route to take it from.
const DEFAULT_MTU: u32 = 1500;

/// An ADD that has all it needs to begin, and has changed nothing yet.
struct Add<'a> {
    request: &'a Request,
    target: &'a Target,
    config: Config,
    ipam_config: IpamConfig,
    requested: Vec<IpAddr>,
    identity: Identity,
    netns: Netns,
    data_plane: DataPlane,
}

pub(super) fn add(request: &Request, target: &Target) -> Result<AddResult, CniError> {
    let netns_path = target.netns()?;
    let config = Config::parse(request)?;
    let ipam_config = read_config(request)?;
    let dns = match (&config.dns, &ipam_config.resolv_conf) {
        (Some(dns), _) => dns.clone(),
        (None, Some(path)) => read_resolv_conf(path)?,
        (None, None) => Dns::default(),
    };
    let data_plane = DataPlane::open(&config.places.bpffs).map_err(Error::from)?;
    require_data_plane(&config, &data_plane)?;
    let add = Add {
        requested: requested_addresses(&request.conf(), &request.args)?,
        identity: Identity::of(&request.network, &target.attachment),
        netns: Netns::open(netns_path, target.own_netns_allowed).map_err(Error::from)?,
        request,
        target,
        config,
        ipam_config,
        data_plane,
    };
    let mut record = add.begin()?;
    match add.run(&mut record) {
        Ok(plan) => Ok(plan.result(&netns_path.to_string_lossy(), dns)),
        Err(error) => {
            let errors = release_recorded(&add.config.places, &request.network, &target.attachment, record);
            let error = CniError::from(error);
            if errors.is_empty() {
                return Err(error);
            }
            Err(error.with_details(format!("and it could not be undone: {}", errors.join("; "))))
        }
    }
}

impl Add<'_> {
    /// Writes the record that says what is about to be made. The remains of an ADD that was killed are cleared away
    /// first; what a living one works on, or a finished one made, is left alone.
    fn begin(&self) -> Result<RecordFile, Error> {
        let attachment = &self.target.attachment;
        let Places { bpffs, data_dir, .. } = self.config.places.clone();
        let record = Record {
            netns: self.target.netns.as_deref().unwrap_or("".as_ref()).display().to_string(),
            pod: pod_name(&self.request.args).unwrap_or_default(),
            host_ifname: self.identity.host_ifname.clone(),
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
                    let errors = release_recorded(&self.config.places, &self.request.network, attachment, file);
                    if !errors.is_empty() {
                        return Err(Error::Remains { attachment: attachment.to_string(), errors: errors.join("; ") });
                    }
                }
            }
        }
        Err(Error::Busy(attachment.to_string()))
    }

    /// Makes everything, and says what that was.
    fn run(&self, record: &mut RecordFile) -> Result<Plan, Error> {
        let ipam = Ipam::new(&self.config.places.data_dir, &self.request.network);
        let leases = ipam.add(&self.ipam_config, &self.target.attachment, &self.requested)?;
        let mut host = Socket::open()?;
        let mut plan = self.plan(&mut host, leases.iter().map(|lease| lease.address.ip()).collect())?;
        let with_ipv6 = plan.addresses.iter().any(IpAddr::is_ipv6);
        let inside = || Ok((Socket::open()?, with_ipv6 && sysctl::ipv6_is_off_by_default()?));
        let (mut pod, ipv6_is_off) = self.netns.run(inside)?.map_err(|e: Error| e)?;
        let (link, peer) = self.make_veth(&mut host, &plan)?;
        record.update(|record| {
            record.host_ifindex = Some(link);
            record.addresses.clone_from(&plan.addresses);
        })?;
        if plan.has_ipv6 {
            sysctl::prepare_host_end(&self.identity.host_ifname, with_ipv6)?;
        }
        host.execute(&plan.host_batch(link))?;
        // The programs are in place before the pod can send.
        let Identity { host_mac, pod_mac, .. } = self.identity;
        self.data_plane.attach(PodLink { ifindex: link, pod_mac, host_mac }, &plan.addresses)?;
        if ipv6_is_off {
            self.netns.run(|| sysctl::enable_ipv6(&plan.ifname))??;
        }
        let (batch, first_route) = plan.pod_batch(peer);
        let had_already = pod.execute(&batch)?;
        let mut position = first_route..;
        plan.routes.retain(|_| position.next().is_some_and(|position| !had_already.contains(&position)));
        record.update(|record| record.complete = true)?;
        Ok(plan)
    }

    fn plan(&self, host: &mut Socket, addresses: Vec<IpAddr>) -> Result<Plan, Error> {
        let has_ipv6 = sysctl::has_ipv6();
        if !has_ipv6 && addresses.iter().any(IpAddr::is_ipv6) {
            return Err(Error::NoIpv6);
        }
        Ok(Plan {
            identity: self.identity.clone(),
            ifname: self.target.attachment.ifname().to_owned(),
            mtu: self.config.mtu.map_or_else(|| mtu_of_default_route(host), Ok)?,
            routes: pod_routes(&addresses, &self.ipam_config.routes),
            addresses,
            alias: pod_name(&self.request.args),
            has_ipv6,
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

fn mtu_of_default_route(socket: &mut Socket) -> Result<u32, Error> {
    for somewhere in SOMEWHERE {
        if let Some(index) = device_towards(socket, somewhere)?
            && let Some(link) = link_by_index(socket, index)?
        {
            return Ok(link.mtu);
        }
    }
    Ok(DEFAULT_MTU)
}

/// The pod that Kubernetes says this is for.
fn pod_name(args: &Args) -> Option<String> {
    Some(format!("{}/{}", args.get("K8S_POD_NAMESPACE")?, args.get("K8S_POD_NAME")?))
}
