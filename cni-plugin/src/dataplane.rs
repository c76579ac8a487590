//! The eBPF data plane, as far as attaching and detaching a pod goes. Nothing pinned is a state like any other: then
//! the kernel's routing carries the pods.

use std::{collections::BTreeMap, net::IpAddr, path::Path};

use caracal_datapath::{
    Error, Mapping, Pinned, Root,
    abi::{Endpoint, Mac, program},
};

use crate::{
    config::Attach,
    netlink::{Socket, link_by_index},
};

/// What is pinned on this node.
#[derive(Debug)]
pub struct DataPlane {
    root: Root,
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

/// What a pod's packets have to pass besides the programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queues {
    /// How the programs get there.
    pub attach: Attach,
    /// What is sent to the pod waits in a queue of its link.
    pub queued: bool,
    /// Others' filters see what the pod sends.
    pub filtered: bool,
}

impl Queues {
    /// Where other plugins may still put queues and filters on the link, everything takes the way past them, until the
    /// agent has seen that there are none.
    fn flags(self) -> u32 {
        let unknown = self.attach == Attach::Tcx;
        let flag = |is_set: bool, flag: u32| if is_set || unknown { flag } else { 0 };
        flag(self.queued, Endpoint::QUEUED) | flag(self.filtered, Endpoint::BY_HOST)
    }
}

impl DataPlane {
    /// Opens what is pinned below `bpffs`.
    pub fn open(bpffs: &Path) -> Result<Self, Error> {
        let root = Root::new(bpffs);
        Ok(Self { pinned: Pinned::open(&root)?, root })
    }

    /// Whether anything is pinned.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.pinned.is_some()
    }

    /// Puts the programs in front of a pod and makes its addresses known, in this order: what is known is guarded.
    pub fn attach(&self, link: PodLink, queues: Queues, addresses: &[IpAddr]) -> Result<(), Error> {
        let Some(pinned) = &self.pinned else { return Ok(()) };
        match queues.attach {
            Attach::Filter => pinned.attach_pod(link.ifindex)?,
            Attach::Tcx => pinned.settle_pod(link.ifindex)?,
        };
        let PodLink { ifindex, pod_mac, host_mac } = link;
        let endpoint = Endpoint { ifindex, flags: queues.flags(), pod_mac, host_mac, ..Endpoint::default() };
        addresses.iter().try_for_each(|ip| pinned.set_endpoint(*ip, &endpoint))
    }

    /// Makes ports of the node lead to the pod behind a link. What a link that is gone held is free.
    pub fn map_ports(&self, link: u32, mappings: &[Mapping]) -> Result<(), crate::Error> {
        let Some(pinned) = &self.pinned else { return Ok(()) };
        for mapping in mappings {
            if let Err(owner) = pinned.map_port(mapping, link)? {
                self.take_over(mapping, link, owner)?;
            }
        }
        Ok(())
    }

    fn take_over(&self, mapping: &Mapping, link: u32, owner: u32) -> Result<(), crate::Error> {
        let Some(pinned) = &self.pinned else { return Ok(()) };
        let taken = |owner| {
            let Mapping { host_ip, host_port: port, protocol, .. } = *mapping;
            crate::Error::PortTaken { host_ip, port, protocol, owner }
        };
        if link_by_index(&mut Socket::open()?, owner)?.is_some() {
            return Err(taken(owner));
        }
        log::warn!("link number {owner} is gone and its port mappings are not; they are removed");
        pinned.unmap_ports(owner)?;
        pinned.map_port(mapping, link)?.map_err(taken)
    }

    /// The mappings that are missing of what [`DataPlane::map_ports`] makes, in words.
    pub fn missing_ports(&self, link: u32, mappings: &[Mapping]) -> Result<Option<String>, Error> {
        let Some(pinned) = &self.pinned else { return Ok(None) };
        let known = if mappings.is_empty() { Vec::new() } else { pinned.mappings()? };
        let missing = mappings.iter().find(|mapping| !known.contains(&(**mapping, link)));
        Ok(missing.map(|mapping| format!("port {} of {} does not lead to the pod", mapping.host_port, mapping.host_ip)))
    }

    /// Undoes [`DataPlane::map_ports`].
    pub fn unmap_ports(&self, link: u32) -> Result<(), Error> {
        self.pinned.as_ref().map_or(Ok(()), |pinned| pinned.unmap_ports(link))
    }

    /// What is missing of what [`DataPlane::attach`] does, in words; nothing if no data plane is there to miss it.
    pub fn missing(&self, link: PodLink, addresses: &[IpAddr]) -> Result<Option<String>, Error> {
        let Some(pinned) = &self.pinned else { return Ok(None) };
        let known = pinned.endpoints()?;
        let is_known = |ip: &IpAddr| {
            known.iter().any(|(addr, endpoint)| {
                let Endpoint { ifindex, pod_mac, host_mac, .. } = *endpoint;
                addr == ip && (ifindex, pod_mac, host_mac) == (link.ifindex, link.pod_mac, link.host_mac)
            })
        };
        Ok(addresses.iter().find(|ip| !is_known(ip)).map(|ip| format!("the data plane has no endpoint for {ip}")))
    }

    /// Whether a program is pinned in front of a link. A link of a kernel without tcx has a filter instead.
    #[must_use]
    pub fn has_pin(&self, ifindex: u32) -> bool {
        self.root.link(program::FROM_POD, ifindex).exists()
    }

    /// Undoes [`DataPlane::attach`] and [`DataPlane::map_ports`] for every link that is `gone`, without knowing its addresses. Gives every error.
    pub fn forget(&self, mut gone: impl FnMut(u32) -> bool) -> Vec<Error> {
        let Some(pinned) = &self.pinned else { return Vec::new() };
        let (known, mappings) = match pinned.endpoints().and_then(|known| Ok((known, pinned.mappings()?))) {
            Ok(known) => known,
            Err(e) => return vec![e],
        };
        // An attempt before this one may have come no further than to the last endpoint.
        let mut addresses: BTreeMap<u32, Vec<IpAddr>> =
            mappings.iter().map(|(_, owner)| (*owner, Vec::new())).collect();
        for (ip, endpoint) in known {
            addresses.entry(endpoint.ifindex).or_default().push(ip);
        }
        let gone = addresses.iter().filter(|(ifindex, _)| gone(**ifindex));
        let undo = |(ifindex, addresses): (&u32, &Vec<IpAddr>)| {
            // No new flow to the pod by its port, then none at all.
            let unmapped = self.unmap_ports(*ifindex).err();
            unmapped.into_iter().chain(self.detach(*ifindex, addresses))
        };
        gone.flat_map(undo).collect()
    }

    /// Undoes [`DataPlane::attach`], all or part of it, for a link that stays. Gives every error.
    #[must_use]
    pub fn detach(&self, ifindex: u32, addresses: &[IpAddr]) -> Vec<Error> {
        let Some(pinned) = &self.pinned else { return Vec::new() };
        // The addresses go first: while there is an endpoint, its link is guarded.
        let mut errors = self.withdraw(ifindex, addresses);
        errors.extend(pinned.detach_pod(ifindex).err());
        errors
    }

    /// The first half of [`DataPlane::detach`], for a link that goes: its addresses are not known any more.
    #[must_use]
    pub fn withdraw(&self, ifindex: u32, addresses: &[IpAddr]) -> Vec<Error> {
        let Some(pinned) = &self.pinned else { return Vec::new() };
        addresses.iter().filter_map(|ip| pinned.remove_endpoint(*ip, ifindex).err()).collect()
    }

    /// And the second half, when it is gone and has taken its programs along.
    pub fn forget_link(&self, ifindex: u32) -> Result<(), Error> {
        self.pinned.as_ref().map_or(Ok(()), |pinned| pinned.forget_link(ifindex))
    }
}
