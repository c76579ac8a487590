//! The eBPF data plane, as far as attaching and detaching a pod goes. Nothing pinned is a state like any other: then
//! the kernel's routing carries the pods.

use std::{net::IpAddr, path::Path};

use caracal_datapath::{
    Error, Pinned, Root,
    abi::{Endpoint, Mac},
};

/// What is pinned on this node.
#[derive(Debug)]
pub struct DataPlane {
    pinned: Option<Pinned>,
}

/// A pod's link, for the data plane.
#[derive(Clone, Copy, Debug)]
pub struct PodLink {
    /// Number of the host-side veth.
    pub ifindex: u32,
    /// The pod's hardware address.
    pub pod_mac: Mac,
    /// The host-side veth's, which is the pod's gateway.
    pub host_mac: Mac,
}

impl DataPlane {
    /// Opens what is pinned below `bpffs`.
    pub fn open(bpffs: &Path) -> Result<Self, Error> {
        Ok(Self { pinned: Pinned::open(&Root::new(bpffs))? })
    }

    /// Whether anything is pinned.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.pinned.is_some()
    }

    /// Puts the programs in front of a pod and makes its addresses known, in this order: what is known is guarded.
    pub fn attach(&self, link: PodLink, addresses: &[IpAddr]) -> Result<(), Error> {
        let Some(pinned) = &self.pinned else { return Ok(()) };
        pinned.attach_pod(link.ifindex)?;
        let PodLink { ifindex, pod_mac, host_mac } = link;
        let endpoint = Endpoint { ifindex, pod_mac, host_mac, ..Endpoint::default() };
        addresses.iter().try_for_each(|ip| pinned.set_endpoint(*ip, &endpoint))
    }

    /// Undoes [`DataPlane::attach`], all or part of it. Gives every error.
    pub fn detach(&self, ifindex: u32, addresses: &[IpAddr]) -> Vec<Error> {
        let Some(pinned) = &self.pinned else { return Vec::new() };
        // The addresses go first: while there is an endpoint, its link is guarded.
        let removed = addresses.iter().map(|ip| pinned.remove_endpoint(*ip, ifindex));
        let mut errors: Vec<_> = removed.filter_map(Result::err).collect();
        errors.extend(pinned.detach_pod(ifindex).err());
        errors
    }
}
