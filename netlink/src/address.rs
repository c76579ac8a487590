//! Addresses of links, and the hardware addresses of their neighbours.

use std::net::IpAddr;

use caracal_abi::Mac;
use ipnetwork::IpNetwork;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::{
    RouteNetlinkMessage,
    address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope},
    neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState},
    route::RouteType,
};

use super::{Error, Request, Socket, family, full_prefix};

/// Gives a link an address of its own, usable at once.
#[must_use]
pub fn address_add(index: u32, ip: IpAddr) -> Request {
    let mut message = AddressMessage::default();
    message.header.family = family(ip);
    message.header.prefix_len = full_prefix(ip);
    message.header.index = index;
    message.attributes = vec![AddressAttribute::Local(ip), AddressAttribute::Address(ip)];
    if ip.is_ipv6() {
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
    }
    let what = format!("adding address {ip} to link number {index}");
    Request::new(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL, what)
}

/// Tells for good which hardware address `ip` has.
#[must_use]
pub fn neighbour_add(index: u32, ip: IpAddr, mac: Mac) -> Request {
    let mut message = NeighbourMessage::default();
    message.header.family = family(ip);
    message.header.ifindex = index;
    message.header.state = NeighbourState::Permanent;
    message.header.kind = RouteType::Unicast;
    message.attributes =
        vec![NeighbourAttribute::Destination(ip.into()), NeighbourAttribute::LinkLayerAddress(mac.0.to_vec())];
    let what = format!("adding neighbour {ip} to link number {index}");
    Request::new(RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE | NLM_F_REPLACE, what)
}

/// The addresses of a link.
pub fn addresses_of(socket: &mut Socket, index: u32) -> Result<Vec<IpNetwork>, Error> {
    let messages = list(socket, index)?;
    Ok(messages.iter().filter_map(address).collect())
}

/// The addresses of a link that others than its neighbours can know it by.
pub fn global_addresses_of(socket: &mut Socket, index: u32) -> Result<Vec<IpAddr>, Error> {
    let messages = list(socket, index)?;
    let global = messages.iter().filter(|message| message.header.scope == AddressScope::Universe);
    Ok(global.filter_map(address).map(|address| address.ip()).collect())
}

fn list(socket: &mut Socket, index: u32) -> Result<Vec<AddressMessage>, Error> {
    let mut message = AddressMessage::default();
    message.header.index = index;
    let request = Request::new(RouteNetlinkMessage::GetAddress(message), 0, format!("listing link number {index}"));
    let messages = socket.dump(request)?.into_iter().filter_map(|message| match message {
        RouteNetlinkMessage::NewAddress(message) if message.header.index == index => Some(message),
        _ => None,
    });
    Ok(messages.collect())
}

fn address(message: &AddressMessage) -> Option<IpNetwork> {
    // IPv6 has the address of a point-to-point link's other end in a different attribute, and no local one.
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(ip) => Some(*ip),
        _ => None,
    });
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Address(ip) => Some(*ip),
        _ => None,
    });
    IpNetwork::new(local.or(address)?, message.header.prefix_len).ok()
}
