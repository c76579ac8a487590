//! Routes to other nodes' pods.
//!
//! Ours carry a protocol number of their own. Only those are ever looked at or removed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures_util::TryStreamExt;
use ipnetwork::IpNetwork;
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteProtocol};
use rtnetlink::{Handle, RouteMessageBuilder};

use crate::compile::Routes;

/// `proto 202` in `ip route`.
pub const PROTOCOL: RouteProtocol = RouteProtocol::Other(0xca);

/// What a change of the routing table failed on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The table could not be read.
    #[error("cannot list the routes: {0}")]
    List(#[source] rtnetlink::Error),
    /// A route of ours could not be made.
    #[error("route {destination} via {hop}: cannot add it: {source}")]
    Add {
        /// Where to.
        destination: IpNetwork,
        /// By which node.
        hop: IpAddr,
        /// The kernel's word.
        source: rtnetlink::Error,
    },
    /// A route of ours could not be removed.
    #[error("route {destination}: cannot remove it: {source}")]
    Remove {
        /// Where to.
        destination: IpNetwork,
        /// The kernel's word.
        source: rtnetlink::Error,
    },
    /// Destination and next hop are of different families.
    #[error("route {destination} via {hop}: two address families")]
    Family {
        /// Where to.
        destination: IpNetwork,
        /// By which node.
        hop: IpAddr,
    },
}

/// Makes our routes be `wanted`. Returns how many were changed, and what could not be; one failure stops no other.
pub async fn sync(handle: &Handle, wanted: &Routes) -> Result<(usize, Vec<Error>), Error> {
    let held = list(handle).await?;
    let (mut changed, mut errors) = (0, Vec::new());
    let mut note = |result: Result<(), Error>| match result {
        Ok(()) => changed += 1,
        Err(error) => errors.push(error),
    };
    for (destination, (hop, message)) in &held {
        if wanted.get(destination) != Some(hop) {
            let removed = handle.route().del(message.clone()).execute().await;
            note(removed.map_err(|source| Error::Remove { destination: *destination, source }));
        }
    }
    for (&destination, &hop) in wanted {
        if held.get(&destination).map(|(hop, _)| *hop) != Some(hop) {
            note(add(handle, destination, hop).await);
        }
    }
    Ok((changed, errors))
}

async fn add(handle: &Handle, destination: IpNetwork, hop: IpAddr) -> Result<(), Error> {
    let message = match (destination, hop) {
        (IpNetwork::V4(net), IpAddr::V4(hop)) => RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(net.network(), net.prefix())
            .gateway(hop)
            .protocol(PROTOCOL)
            .build(),
        (IpNetwork::V6(net), IpAddr::V6(hop)) => RouteMessageBuilder::<Ipv6Addr>::new()
            .destination_prefix(net.network(), net.prefix())
            .gateway(hop)
            .protocol(PROTOCOL)
            .build(),
        _ => return Err(Error::Family { destination, hop }),
    };
    handle.route().add(message).execute().await.map_err(|source| Error::Add { destination, hop, source })
}

type Held = std::collections::BTreeMap<IpNetwork, (IpAddr, RouteMessage)>;

async fn list(handle: &Handle) -> Result<Held, Error> {
    let questions = [RouteMessageBuilder::<Ipv4Addr>::new().build(), RouteMessageBuilder::<Ipv6Addr>::new().build()];
    let mut held = Held::new();
    for question in questions {
        let routes: Vec<RouteMessage> =
            handle.route().get(question).execute().try_collect().await.map_err(Error::List)?;
        held.extend(routes.into_iter().filter_map(ours));
    }
    Ok(held)
}

fn ours(message: RouteMessage) -> Option<(IpNetwork, (IpAddr, RouteMessage))> {
    if message.header.protocol != PROTOCOL {
        return None;
    }
    let find =
        |pick: fn(&RouteAttribute) -> Option<&RouteAddress>| message.attributes.iter().find_map(pick).and_then(ip);
    let destination = find(|a| if let RouteAttribute::Destination(d) = a { Some(d) } else { None })?;
    let hop = find(|a| if let RouteAttribute::Gateway(g) = a { Some(g) } else { None })?;
    let destination = IpNetwork::new(destination, message.header.destination_prefix_length).ok()?;
    Some((destination, (hop, message)))
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(ip) => Some((*ip).into()),
        RouteAddress::Inet6(ip) => Some((*ip).into()),
        _ => None,
    }
}
