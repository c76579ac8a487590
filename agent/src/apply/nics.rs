//! The node's own addresses, and the interfaces that others reach it by.
//!
//! The kernel tells when an address comes or goes; what it has then is read anew.

mod addresses;

use std::{collections::BTreeMap, future::pending, net::IpAddr, sync::Arc, time::Duration};

use caracal_datapath::Pinned;
use futures_util::StreamExt;
use nix::net::if_::if_nametoindex;
use rtnetlink::{Handle, MulticastGroup, new_multicast_connection};
use tokio::{sync::Notify, time::sleep};

use crate::face::Face;

/// Linux numbers the loopback interface first in every namespace.
const LOOPBACK: u32 = 1;

/// How long to wait for more changes after the first: addresses of both families, links of many pods.
const SETTLE: Duration = Duration::from_millis(200);
/// Everything is compared with the kernel this often even when it tells of no change.
const RESYNC: Duration = Duration::from_secs(30);
/// The same, when something could not be done.
const RETRY: Duration = Duration::from_secs(1);

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

/// Keeps them right for as long as it is polled.
pub async fn run(face: &Face, handle: &Handle, pinned: &Pinned, named: &[String]) {
    let changes = changes();
    loop {
        let wait = if round(face, handle, pinned, named).await { RESYNC } else { RETRY };
        tokio::select! {
            () = changes.notified() => sleep(SETTLE).await,
            () = sleep(wait) => {}
        }
    }
}

/// False if something is left to be done.
pub async fn round(face: &Face, handle: &Handle, pinned: &Pinned, named: &[String]) -> bool {
    face.round("NICs", RESYNC, sync(handle, pinned, named)).await
}

/// Is notified when an address of the node comes or goes.
fn changes() -> Arc<Notify> {
    let changes = Arc::new(Notify::new());
    match new_multicast_connection(&[MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr]) {
        Ok((connection, handle, mut messages)) => {
            let notify = Arc::clone(&changes);
            tokio::spawn(connection);
            tokio::spawn(async move {
                // The connection ends with its last handle.
                let _handle = handle;
                while messages.next().await.is_some() {
                    notify.notify_one();
                }
                pending::<()>().await;
            });
        }
        Err(error) => log::warn!("cannot follow the node's addresses, looking every {RESYNC:?} instead: {error}"),
    }
    changes
}

/// Makes the programs know the node's addresses and attaches them to its NICs. Returns what could not be done.
async fn sync(handle: &Handle, pinned: &Pinned, named: &[String]) -> Vec<Error> {
    let pods = match pinned.endpoints() {
        Ok(endpoints) => endpoints.iter().map(|(_, endpoint)| endpoint.ifindex).collect(),
        Err(error) => return vec![error.into()],
    };
    let own = match addresses::own(handle, &pods).await {
        Ok(own) => own,
        Err(error) => return vec![Error::List(error)],
    };
    let mut errors = Vec::new();
    let all: Vec<IpAddr> = own.values().flatten().map(|address| address.ip).collect();
    let mut note = |changed: Result<usize, caracal_datapath::Error>, what: &str| match changed {
        Ok(0) => {}
        Ok(changed) => log::info!("{changed} {what} changed"),
        Err(error) => errors.push(error.into()),
    };
    note(pinned.set_node_addresses(&all), "of the node's addresses");
    let (interfaces, missing) = interfaces(&own, named);
    let nics = interfaces.into_iter().map(|ifindex| {
        let addresses = own.get(&ifindex).map(Vec::as_slice).unwrap_or_default();
        (ifindex, addresses::nic(addresses))
    });
    let nics: BTreeMap<u32, _> = nics.collect();
    // Before packets come in by them.
    note(pinned.set_nics(&nics), "NICs");
    errors.extend(missing);
    errors.extend(pinned.attach_nics(&nics.into_keys().collect()).into_iter().map(Error::from));
    errors
}

/// The interfaces to attach to: those that were named, or all that have an address. And those that are not there.
fn interfaces(own: &addresses::Own, named: &[String]) -> (Vec<u32>, Vec<Error>) {
    if named.is_empty() {
        return (own.keys().copied().filter(|ifindex| *ifindex != LOOPBACK).collect(), Vec::new());
    }
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in named {
        match if_nametoindex(name.as_str()) {
            Ok(ifindex) => found.push(ifindex),
            Err(source) => missing.push(Error::NoNic { name: name.clone(), source }),
        }
    }
    (found, missing)
}
