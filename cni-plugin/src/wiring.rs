//! How a pod is wired: pure, from a plan to the changes that make it true and to the result that tells of it.
//!
//! A pod and the host are the two ends of a cable, and nothing else is on it. So the pod's addresses stand alone (/32,
//! /128), everything it sends goes to the host, whose hardware address it knows for good under a link-local address
//! that nobody needs to have; and the host knows the pod's. There is no ARP, no neighbour discovery and no address
//! detection to wait for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use caracal_ipam::protocol::{AddResult, Dns, Interface, Ip, Route};
use ipnetwork::IpNetwork;
use nix::errno::Errno;

use crate::{
    bandwidth::Bandwidth,
    identity::Identity,
    netlink::{
        Batch, LinkSettings, RouteSpec, address_add, link_settings, link_up, neighbour_add, route_add, rule_add,
        rule_delete,
    },
};

/// The host, as pods address it.
pub const GATEWAY4: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
/// The host, as pods address it.
pub const GATEWAY6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// Longest alias the kernel keeps, with room for the byte that ends it.
pub const ALIAS_MAX: usize = 254;

const SCOPE_LINK: u8 = 253;

/// `rp_filter` that on a link with an address asks only whether the source is reachable at all. The host's end has none,
/// and there the kernel makes no difference between this and strict filtering: a packet passes if its source is routed
/// back over the same link. That is what the host's stack is to ask of pods where no program of ours does, and why each
/// address of a pod must answer by its own interface ([`Plan::beside_batch`]). Whoever gives the link an address wants
/// to route by it, and gets loose filtering. The kernel takes the larger of this and the value for all links, so 0
/// would not reliably loosen anything.
const RP_FILTER_LOOSE: i32 = 2;

/// Where a pod has more than one interface, those after the first have a routing table each: this, and the link's
/// number in the pod.
const FIRST_TABLE: u32 = 1000;
/// Priority of the rules that lead to these tables: after the kernel's own for local addresses, before all it has
/// for others.
const RULE_PRIORITY: u32 = 1000;
/// Metric of a default route that waits for the other interface's to go: this, and the link's number in the pod. More
/// than the 1024 that IPv6 routes have if nobody says otherwise.
const SPARE_METRIC: u32 = 10_000;

/// All that is to be known about a pod's wiring.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Names and hardware addresses of the pair.
    pub identity: Identity,
    /// The pod's end, in the pod.
    pub ifname: String,
    /// Of both ends.
    pub mtu: u32,
    /// At least one, of one family or of both.
    pub addresses: Vec<IpAddr>,
    /// Routes in the pod.
    pub routes: Vec<PodRoute>,
    /// Whose link it is, for people who list links; at most [`ALIAS_MAX`] bytes of it are kept.
    pub alias: Option<String>,
    /// Whether the kernel speaks IPv6.
    pub has_ipv6: bool,
    /// How fast the pod may send and receive.
    pub bandwidth: Bandwidth,
}

/// A route in the pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodRoute {
    /// As the result tells of it.
    pub route: Route,
    /// Nobody asked for it, so one that the pod has from another interface is as good.
    pub implied: bool,
}

/// The gateway of an address's family.
#[must_use]
pub fn gateway(ip: IpAddr) -> IpAddr {
    if ip.is_ipv4() { GATEWAY4.into() } else { GATEWAY6.into() }
}

/// The address and nothing around it.
#[must_use]
pub fn alone(ip: IpAddr) -> IpNetwork {
    ip.into()
}

/// The routes of a pod with `addresses`: those configured, and where they have no default route, one of ours. Whatever
/// a configured route calls its gateway, the next hop is the host: nobody else is on the cable.
#[must_use]
pub fn pod_routes(addresses: &[IpAddr], configured: &[Route]) -> Vec<PodRoute> {
    let has_family = |v4: bool| addresses.iter().any(|ip| ip.is_ipv4() == v4);
    let configured = configured.iter().filter(|route| has_family(route.dst.is_ipv4())).map(|route| {
        let gw = (route.scope != Some(SCOPE_LINK)).then(|| gateway(route.dst.ip()));
        PodRoute { route: Route { gw, ..route.clone() }, implied: false }
    });
    let mut routes: Vec<_> = configured.collect();
    for ip in addresses {
        let any = if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { IpAddr::from(Ipv6Addr::UNSPECIFIED) };
        let is_default = |route: &Route| route.dst.prefix() == 0 && route.dst.is_ipv4() == ip.is_ipv4();
        if let Ok(dst) = IpNetwork::new(any, 0)
            && !routes.iter().any(|PodRoute { route, .. }| is_default(route) && route.table.is_none())
        {
            routes.push(PodRoute { route: Route { gw: Some(gateway(*ip)), ..Route::to(dst) }, implied: true });
        }
    }
    routes
}

/// What is to be done in a pod that had `addresses` on a link that is gone: routes went with it, rules have not. Most
/// pods have none.
#[must_use]
pub fn forget_batch(addresses: &[IpAddr]) -> Batch {
    addresses.iter().map(|ip| rule_delete(*ip, RULE_PRIORITY).or(Errno::ENOENT)).collect()
}

impl Plan {
    /// What is to be done on the host, to the link numbered `index`.
    ///
    /// IPv4 is forwarded by link, so the host need not be a router elsewhere. The link gets no link-local address: the
    /// pod does not use it, and its duplicate detection would be the first thing on the cable.
    #[must_use]
    pub fn host_batch(&self, index: u32) -> Batch {
        let settings = LinkSettings {
            alias: self.alias.as_ref().map(|alias| alias[..alias.floor_char_boundary(ALIAS_MAX)].to_owned()),
            ipv4: (1, RP_FILTER_LOOSE),
            no_link_local: self.has_ipv6,
        };
        let mut batch = Batch::from_iter([link_settings(index, &settings)]);
        batch.extend(self.bandwidth.ingress.map(|rate| rate.limit(self.mtu).set(index)));
        batch.push(link_up(index));
        for ip in &self.addresses {
            batch.push(neighbour_add(index, *ip, self.identity.pod_mac));
            batch.push(route_add(&RouteSpec::new(alone(*ip), index)));
        }
        batch
    }

    /// What is to be done in the pod, to the link numbered `index`. Then come the routes, one request each, from the
    /// position that is given with it.
    ///
    /// A pod without an IPv6 address gets no link-local one either, which would only have it look for routers.
    pub fn pod_batch(&self, index: u32) -> (Batch, usize) {
        let mut batch = Batch::default();
        if self.has_ipv6 && self.addresses.iter().all(IpAddr::is_ipv4) {
            batch.push(link_settings(index, &LinkSettings { no_link_local: true, ..LinkSettings::default() }));
        }
        batch.extend(self.bandwidth.egress.map(|rate| rate.limit(self.mtu).set(index)));
        batch.push(link_up(index));
        for ip in &self.addresses {
            batch.push(address_add(index, *ip));
            batch.push(neighbour_add(index, gateway(*ip), self.identity.host_mac));
        }
        let first_route = batch.len();
        for PodRoute { route, implied } in &self.routes {
            let Route { dst, gw, mtu, advmss, priority, table, scope: _ } = *route;
            let request = route_add(&RouteSpec { dst, index, gateway: gw, mtu, advmss, priority, table });
            batch.push(if *implied { request.or(Errno::EEXIST) } else { request });
        }
        (batch, first_route)
    }

    /// What is to be done in a pod, to the link numbered `index`, if default routes to `taken` are there by another
    /// interface. What is sent from an address of this link leaves by this link nevertheless, because the host does not
    /// take it from another; and the pod still has a default route when the other interface goes.
    #[must_use]
    pub fn beside_batch(&self, index: u32, taken: &[PodRoute]) -> Batch {
        let mut batch = Batch::default();
        let (table, metric) = (FIRST_TABLE + index, SPARE_METRIC + index);
        for PodRoute { route: Route { dst, gw, .. }, .. } in taken {
            let route = RouteSpec { gateway: *gw, ..RouteSpec::new(*dst, index) };
            batch.push(route_add(&RouteSpec { table: Some(table), ..route }));
            batch.push(route_add(&RouteSpec { priority: Some(metric), ..route }));
            let mine = self.addresses.iter().filter(|ip| ip.is_ipv4() == dst.is_ipv4());
            batch.extend(mine.map(|ip| rule_add(*ip, RULE_PRIORITY, table)));
        }
        batch
    }

    /// What the runtime is told. The host's end comes first, so that plugins after us find it.
    #[must_use]
    pub fn result(&self, netns: &str, dns: Dns) -> AddResult {
        let host = Interface {
            name: self.identity.host_ifname.clone(),
            mac: Some(self.identity.host_mac.to_string()),
            mtu: Some(self.mtu),
            sandbox: None,
        };
        let pod = Interface {
            name: self.ifname.clone(),
            mac: Some(self.identity.pod_mac.to_string()),
            mtu: Some(self.mtu),
            sandbox: Some(netns.to_owned()),
        };
        let ip = |ip: &IpAddr| Ip { interface: Some(1), gateway: Some(gateway(*ip)), ..Ip::new(alone(*ip)) };
        AddResult {
            interfaces: vec![host, pod],
            ips: self.addresses.iter().map(ip).collect(),
            routes: self.routes.iter().map(|route| route.route.clone()).collect(),
            dns,
            ..AddResult::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(addresses: &[&str], configured: &[Route]) -> Vec<String> {
        let addresses: Vec<_> = addresses.iter().map(|ip| ip.parse().unwrap()).collect();
        let text = |PodRoute { route, implied }: PodRoute| {
            let gw = route.gw.map_or_else(|| "link".to_owned(), |gw| gw.to_string());
            format!("{} {gw}{}", route.dst, if implied { " implied" } else { "" })
        };
        pod_routes(&addresses, configured).into_iter().map(text).collect()
    }

    fn route(dst: &str) -> Route {
        Route::to(dst.parse().unwrap())
    }

    #[test]
    fn every_family_has_a_default_route() {
        assert_eq!(routes(&["10.0.0.2"], &[]), ["0.0.0.0/0 169.254.1.1 implied"]);
        assert_eq!(routes(&["10.0.0.2", "fd00::2"], &[]), ["0.0.0.0/0 169.254.1.1 implied", "::/0 fe80::1 implied"]);
    }

    #[test]
    fn configured_routes_lead_to_the_host_and_replace_the_implied() {
        let gw = Some("10.9.9.9".parse().unwrap());
        let configured = [
            Route { gw, ..route("0.0.0.0/0") },
            Route { scope: Some(SCOPE_LINK), ..route("10.8.0.0/16") },
            Route { table: Some(7), ..route("::/0") },
        ];
        assert_eq!(routes(&["10.0.0.2"], &configured), ["0.0.0.0/0 169.254.1.1", "10.8.0.0/16 link"]);
        assert_eq!(routes(&["fd00::2"], &configured), ["::/0 fe80::1", "::/0 fe80::1 implied"]);
    }
}
