//! The node's own addresses, and the interfaces that others reach it by.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use caracal_datapath::Pinned;
use futures_util::TryStreamExt;
use netlink_packet_route::address::{AddressAttribute, AddressScope};
use nix::net::if_::if_nametoindex;
use rtnetlink::Handle;

/// Linux numbers the loopback interface first in every namespace.
const LOOPBACK: u32 = 1;

/// What a round failed on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel does not say.
    #[error("cannot list the node's addresses: {0}")]
    List(#[source] rtnetlink::Error),
    /// An interface that was named is not there.
    #[error("--nic {name}: {source}; it is attached to when it appears")]
    NoNic {
        /// Its name.
        name: String,
        /// The system's word.
        source: nix::Error,
    },
    /// A map or a hook.
    #[error(transparent)]
    DataPlane(#[from] caracal_datapath::Error),
}

/// Makes the programs know the node's addresses and attaches them to its NICs. Returns what could not be done.
pub async fn sync(handle: &Handle, pinned: &Pinned, named: &[String]) -> Vec<Error> {
    let addresses = match list(handle).await {
        Ok(addresses) => addresses,
        Err(error) => return vec![error],
    };
    let pods = match pinned.endpoints() {
        Ok(endpoints) => endpoints.iter().map(|(_, endpoint)| endpoint.ifindex).collect(),
        Err(error) => return vec![error.into()],
    };
    let own = own(&addresses, &pods);
    let mut errors = Vec::new();
    let addresses: Vec<IpAddr> = own.values().flatten().copied().collect();
    match pinned.set_node_addresses(&addresses) {
        Ok(0) => {}
        Ok(changed) => log::info!("{changed} of the node's {} addresses changed", addresses.len()),
        Err(error) => errors.push(error.into()),
    }
    let mut nics: BTreeSet<u32> = own.keys().copied().filter(|ifindex| *ifindex != LOOPBACK).collect();
    if !named.is_empty() {
        nics.clear();
        for name in named {
            match if_nametoindex(name.as_str()) {
                Ok(ifindex) => drop(nics.insert(ifindex)),
                Err(source) => errors.push(Error::NoNic { name: name.clone(), source }),
            }
        }
    }
    errors.extend(pinned.attach_nics(&nics).into_iter().map(Error::from));
    errors
}

/// The interfaces that are not pods', with the addresses that others can send to.
fn own(addresses: &[(u32, IpAddr)], pods: &BTreeSet<u32>) -> BTreeMap<u32, Vec<IpAddr>> {
    let mut own: BTreeMap<u32, Vec<IpAddr>> = BTreeMap::new();
    for (ifindex, ip) in addresses.iter().filter(|(ifindex, ip)| !pods.contains(ifindex) && !ip.is_loopback()) {
        own.entry(*ifindex).or_default().push(*ip);
    }
    own
}

async fn list(handle: &Handle) -> Result<Vec<(u32, IpAddr)>, Error> {
    let listed: Vec<_> = handle.address().get().execute().try_collect().await.map_err(Error::List)?;
    let global = listed.iter().filter(|message| message.header.scope == AddressScope::Universe);
    let local = global.filter_map(|message| {
        // An IPv4 address is called local, and its network's or its peer's comes beside it.
        let find = |wanted: fn(&AddressAttribute) -> Option<IpAddr>| message.attributes.iter().find_map(wanted);
        let local = find(|attribute| if let AddressAttribute::Local(ip) = attribute { Some(*ip) } else { None });
        let address = find(|attribute| if let AddressAttribute::Address(ip) = attribute { Some(*ip) } else { None });
        local.or(address).map(|ip| (message.header.index, ip))
    });
    Ok(local.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_and_loopback_addresses_are_not_the_nodes() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let addresses = [
            (1, ip("127.0.0.1")),
            (1, ip("192.0.2.100")),
            (2, ip("192.0.2.1")),
            (2, ip("2001:db8::1")),
            (7, ip("10.244.0.1")),
        ];
        let own = own(&addresses, &[7].into());
        assert_eq!(own.keys().copied().collect::<Vec<_>>(), [1, 2]);
        assert_eq!((own[&1].clone(), own[&2].len()), (vec![ip("192.0.2.100")], 2));
    }
}
