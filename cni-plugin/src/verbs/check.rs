//! CHECK: whether what ADD made is still there. Additions of other plugins are theirs.

use std::net::IpAddr;

use caracal_ipam::protocol::{AddResult, CniError, Code, Interface, Request, Route, Target};
use ipnetwork::IpNetwork;

use super::Release;
use crate::{
    Error,
    bandwidth::PodLink,
    dataplane::DataPlane,
    identity::Identity,
    netlink::{Link, RouteSpec, Socket, addresses_of, link_by_name, routes_of},
    netns::Netns,
    ports::{self, mappings},
    record::RecordFile,
    source,
    wiring::gateway,
};

/// What is found in the pod.
struct Found {
    link: Link,
    addresses: Vec<IpNetwork>,
    routes: Vec<RouteSpec>,
}

pub(super) fn check(
    request: &Request,
    target: &Target,
    release: &Release<'_>,
    file: Option<&RecordFile>,
) -> Result<(), CniError> {
    let previous = previous_result(request)?;
    let netns_path = target.netns()?;
    let identity = Identity::of(&request.network, &target.attachment);
    let Some(record) = file.map(RecordFile::record).filter(|record| record.complete) else {
        return Err(failed(format!("there is no record of {}", target.attachment)).into());
    };
    source::check(request, &previous, &release.places.data_dir, record, &target.attachment)?;
    let mut host = Socket::open().map_err(Error::from)?;
    let link = link_by_name(&mut host, &identity.host_ifname).map_err(Error::from)?;
    let Some(link) = link.filter(|link| link.mac == Some(identity.host_mac) && link.is_up) else {
        return Err(failed(format!("the host has no link {}, or it is changed", identity.host_ifname)).into());
    };
    let ifname = target.attachment.ifname();
    let sandbox = netns_path.to_string_lossy();
    let interface = interface_of(&previous, ifname, &sandbox).map_err(failed)?;
    let netns = Netns::open(netns_path, target.own_netns_allowed).map_err(Error::from)?;
    let found = netns.run(|| look(ifname)).map_err(Error::from)??;
    compare(&previous, interface, &found).map_err(|difference| failed(format!("{ifname}: {difference}")))?;
    let limits = PodLink::open(link.index, Some(&netns), ifname, &record.bandwidth, link.mtu);
    if let Some(difference) = limits.and_then(|mut limits| limits.difference())? {
        return Err(failed(difference).into());
    }
    let wanted = mappings(&ports::parse(&request.conf())?, &record.addresses);
    let data_plane = DataPlane::open(&release.bpffs(record)).map_err(Error::from)?;
    match data_plane.missing_ports(link.index, &wanted).map_err(Error::from)? {
        Some(missing) => Err(failed(format!("{ifname}: {missing}")).into()),
        None => Ok(()),
    }
}

fn failed(difference: String) -> Error {
    Error::Check(difference)
}

fn previous_result(request: &Request) -> Result<AddResult, CniError> {
    let conf = request.conf();
    match conf.get("prevResult")? {
        Some(previous) => Ok(previous.parse()?),
        None => Err(CniError::new(Code::InvalidConfig, "prevResult: is missing; CHECK compares with it")),
    }
}

/// The container's interface, and its position, in the result of ADD.
fn interface_of<'a>(previous: &'a AddResult, ifname: &str, sandbox: &str) -> Result<(usize, &'a Interface), String> {
    let mut interfaces = previous.interfaces.iter().enumerate();
    let ours = |(_, interface): &(usize, &Interface)| {
        interface.name == ifname && interface.sandbox.as_deref() == Some(sandbox)
    };
    interfaces.find(ours).ok_or_else(|| format!("prevResult has no interface {ifname} in sandbox {sandbox}"))
}

/// Looks around in the namespace of the calling thread.
fn look(ifname: &str) -> Result<Found, Error> {
    let mut socket = Socket::open()?;
    let link = link_by_name(&mut socket, ifname)?;
    let link = link.ok_or_else(|| failed(format!("the container has no interface {ifname}")))?;
    let addresses = addresses_of(&mut socket, link.index)?;
    let routes = routes_of(&mut socket, link.index)?;
    Ok(Found { link, addresses, routes })
}

fn compare(previous: &AddResult, interface: (usize, &Interface), found: &Found) -> Result<(), String> {
    let (position, interface) = interface;
    let mac = found.link.mac.map(|mac| mac.to_string());
    if interface.mac.is_some() && interface.mac != mac {
        let text = |mac: &Option<String>| mac.clone().unwrap_or_else(|| "none".to_owned());
        return Err(format!("hardware address is {}, was {}", text(&mac), text(&interface.mac)));
    }
    if !found.link.is_up {
        return Err("is switched off".to_owned());
    }
    for ip in previous.ips.iter().filter(|ip| ip.interface == Some(position)) {
        if !found.addresses.contains(&ip.address) {
            return Err(format!("address {} is gone", ip.address));
        }
    }
    // Routes of other plugins have other gateways; only ours lead to the host.
    let ours = |route: &&Route| route.gw.is_none_or(|gw| gw == gateway(route.dst.ip()));
    let mine: Vec<IpAddr> =
        previous.ips.iter().filter(|ip| ip.interface == Some(position)).map(|ip| ip.address.ip()).collect();
    for route in
        previous.routes.iter().filter(ours).filter(|route| mine.iter().any(|ip| ip.is_ipv4() == route.dst.is_ipv4()))
    {
        let same = |found: &RouteSpec| {
            found.dst.network() == route.dst.network()
                && found.dst.prefix() == route.dst.prefix()
                && found.gateway == route.gw
                && route.table.is_none_or(|table| found.table == Some(table))
        };
        if !found.routes.iter().any(same) {
            return Err(format!("route to {} is gone", route.dst));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use caracal_datapath::abi::Mac;
    use caracal_ipam::protocol::Ip;

    use super::*;

    fn previous() -> AddResult {
        let interface = |name: &str, sandbox: Option<&str>| Interface {
            name: name.to_owned(),
            mac: Some("02:00:00:00:00:01".to_owned()),
            sandbox: sandbox.map(str::to_owned),
            ..Interface::default()
        };
        AddResult {
            interfaces: vec![interface("cc0", None), interface("eth0", Some("/n")), interface("extra", Some("/n"))],
            ips: vec![
                Ip { interface: Some(1), ..Ip::new("10.0.0.2/32".parse().unwrap()) },
                Ip { interface: Some(2), ..Ip::new("10.9.0.2/24".parse().unwrap()) },
            ],
            routes: vec![
                Route { gw: Some("169.254.1.1".parse().unwrap()), ..Route::to("0.0.0.0/0".parse().unwrap()) },
                Route { gw: Some("10.9.0.1".parse().unwrap()), ..Route::to("10.10.0.0/16".parse().unwrap()) },
            ],
            ..AddResult::default()
        }
    }

    fn found() -> Found {
        let default = RouteSpec::new("0.0.0.0/0".parse().unwrap(), 2);
        Found {
            link: Link {
                index: 2,
                name: "eth0".to_owned(),
                kind: "veth".to_owned(),
                mac: Some(Mac([2, 0, 0, 0, 0, 1])),
                mtu: 1500,
                peer: Some(5),
                peer_nsid: Some(0),
                is_up: true,
                is_operational: true,
            },
            addresses: vec!["10.0.0.2/32".parse().unwrap(), "fe80::1/64".parse().unwrap()],
            routes: vec![RouteSpec { gateway: Some("169.254.1.1".parse().unwrap()), ..default }],
        }
    }

    fn difference(change: impl FnOnce(&mut Found)) -> Result<(), String> {
        let previous = previous();
        let mut found = found();
        change(&mut found);
        compare(&previous, interface_of(&previous, "eth0", "/n")?, &found)
    }

    #[test]
    fn what_is_as_it_was_passes_whatever_others_added() {
        assert_eq!(difference(|_| {}), Ok(()));
    }

    #[test]
    fn every_difference_is_named() {
        let bad = |change: fn(&mut Found)| difference(change).unwrap_err();
        assert_eq!(
            bad(|found| found.link.mac = Some(Mac([9; 6]))),
            "hardware address is 09:09:09:09:09:09, was 02:00:00:00:00:01"
        );
        assert_eq!(bad(|found| found.link.is_up = false), "is switched off");
        assert_eq!(bad(|found| found.addresses.clear()), "address 10.0.0.2/32 is gone");
        assert_eq!(bad(|found| found.routes.clear()), "route to 0.0.0.0/0 is gone");
        assert_eq!(bad(|found| found.routes[0].gateway = None), "route to 0.0.0.0/0 is gone");
        assert_eq!(
            interface_of(&previous(), "eth0", "/other").unwrap_err(),
            "prevResult has no interface eth0 in sandbox /other"
        );
    }
}
