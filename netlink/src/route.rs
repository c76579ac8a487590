//! Routes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    route::{
        RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric, RouteProtocol, RouteScope,
        RouteType,
    },
};

use super::{Error, Request, Socket, family, full_prefix};

/// A route over a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteSpec {
    /// Where to.
    pub dst: IpNetwork,
    /// Over which link.
    pub index: u32,
    /// To whom, although no subnet says that he is there; nobody if `dst` itself is.
    pub gateway: Option<IpAddr>,
    /// MTU along it.
    pub mtu: Option<u32>,
    /// Advertised maximum segment size.
    pub advmss: Option<u32>,
    /// Metric.
    pub priority: Option<u32>,
    /// Routing table, if not the main one.
    pub table: Option<u32>,
}

impl RouteSpec {
    /// A route that says nothing but where it goes.
    #[must_use]
    pub fn new(dst: IpNetwork, index: u32) -> Self {
        Self { dst, index, gateway: None, mtu: None, advmss: None, priority: None, table: None }
    }
}

/// Adds a route; it is an error if there is one to the same place.
pub fn route_add(route: &RouteSpec) -> Request {
    let RouteSpec { dst, index, gateway, mtu, advmss, priority, table } = *route;
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: family(dst.ip()),
        destination_prefix_length: dst.prefix(),
        table: RouteHeader::RT_TABLE_MAIN,
        protocol: RouteProtocol::Static,
        kind: RouteType::Unicast,
        ..RouteHeader::default()
    };
    if dst.prefix() > 0 {
        message.attributes.push(RouteAttribute::Destination(RouteAddress::from(dst.network())));
    }
    message.attributes.push(RouteAttribute::Oif(index));
    match gateway {
        Some(gateway) => {
            message.header.flags = RouteFlags::Onlink;
            message.attributes.push(RouteAttribute::Gateway(RouteAddress::from(gateway)));
        }
        // IPv6 has no scopes of routes.
        None if dst.is_ipv4() => message.header.scope = RouteScope::Link,
        None => {}
    }
    if let Some(table) = table {
        message.header.table = RouteHeader::RT_TABLE_UNSPEC;
        message.attributes.push(RouteAttribute::Table(table));
    }
    message.attributes.extend(priority.map(RouteAttribute::Priority));
    let metrics: Vec<_> = mtu.map(RouteMetric::Mtu).into_iter().chain(advmss.map(RouteMetric::Advmss)).collect();
    if !metrics.is_empty() {
        message.attributes.push(RouteAttribute::Metrics(metrics));
    }
    let what = format!("adding route to {dst} over link number {index}");
    Request::new(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_EXCL, what)
}

/// The routes over a link, in all tables, with their gateways.
pub fn routes_of(socket: &mut Socket, index: u32) -> Result<Vec<RouteSpec>, Error> {
    let mut routes = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut message = RouteMessage::default();
        message.header.address_family = family;
        message.attributes.push(RouteAttribute::Oif(index));
        let request = Request::new(RouteNetlinkMessage::GetRoute(message), 0, "listing routes".to_owned());
        routes.extend(socket.dump(request)?.iter().filter_map(read_route).filter(|route| route.index == index));
    }
    Ok(routes)
}

fn read_route(message: &RouteNetlinkMessage) -> Option<RouteSpec> {
    let RouteNetlinkMessage::NewRoute(message) = message else { return None };
    let any: IpAddr = match message.header.address_family {
        AddressFamily::Inet => Ipv4Addr::UNSPECIFIED.into(),
        _ => Ipv6Addr::UNSPECIFIED.into(),
    };
    let mut route = RouteSpec::new(IpNetwork::new(any, 0).ok()?, 0);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(dst) => {
                route.dst = IpNetwork::new(ip(dst)?, message.header.destination_prefix_length).ok()?;
            }
            RouteAttribute::Oif(index) => route.index = *index,
            RouteAttribute::Gateway(gateway) => route.gateway = ip(gateway),
            RouteAttribute::Priority(priority) => route.priority = Some(*priority),
            RouteAttribute::Table(table) => route.table = Some(*table),
            _ => {}
        }
    }
    Some(route)
}

/// The number of the link that packets to `probe` leave by; none if they cannot.
pub fn device_towards(socket: &mut Socket, probe: IpAddr) -> Result<Option<u32>, Error> {
    let messages = routes_towards(socket, probe)?;
    Ok(messages.iter().find_map(read_route).map(|route| route.index).filter(|index| *index > 0))
}

/// Whether packets to `ip` are taken for the namespace's own.
pub fn is_own(socket: &mut Socket, ip: IpAddr) -> Result<bool, Error> {
    let is_local = |message: &RouteNetlinkMessage| matches!(message, RouteNetlinkMessage::NewRoute(route) if route.header.kind == RouteType::Local);
    Ok(routes_towards(socket, ip)?.iter().any(is_local))
}

/// What the kernel does with packets to `probe`; nothing if it has no route, or one that says no.
fn routes_towards(socket: &mut Socket, probe: IpAddr) -> Result<Vec<RouteNetlinkMessage>, Error> {
    let mut message = RouteMessage::default();
    message.header.address_family = family(probe);
    message.header.destination_prefix_length = full_prefix(probe);
    message.attributes.push(RouteAttribute::Destination(RouteAddress::from(probe)));
    let what = format!("looking for the route to {probe}");
    match socket.call(Request::new(RouteNetlinkMessage::GetRoute(message), 0, what)) {
        Err(e) if e.source.raw_os_error().is_some() => Ok(Vec::new()),
        answer => answer,
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(ip) => Some((*ip).into()),
        RouteAddress::Inet6(ip) => Some((*ip).into()),
        _ => None,
    }
}
