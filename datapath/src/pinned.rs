//! The data plane that is already in the kernel: attaching pods to it and telling it about them.

use std::{collections::BTreeSet, fs, net::IpAddr};

use aya::Pod;
use caracal_abi::{Address, Endpoint, Flow, Ip4, Ip6, Translation, map, program};
use caracal_netlink::{Socket, link_by_index};

use crate::{
    Error, Flows, Root, Table,
    attach::{self, Direction, Method},
    load,
};

mod mappings;
mod node;
mod prefixes;

pub use mappings::Mapping;

/// A pinned data plane.
#[derive(Clone, Debug)]
pub struct Pinned {
    root: Root,
}

impl Pinned {
    /// Opens what is pinned below `root`; `None` if nothing is loaded there for this layout version.
    pub fn open(root: &Root) -> Result<Option<Self>, Error> {
        Ok(load::is_loaded(root).then(|| Self { root: root.clone() }))
    }

    /// Attaches the programs of a pod to its host-side veth at once, or brings those attached up to date.
    pub fn attach_pod(&self, ifindex: u32) -> Result<Method, Error> {
        attach::tc(&self.root, program::FROM_POD, ifindex, Direction::Ingress, Method::Filter)
    }

    /// Moves the programs of a pod to where they cost its packets least, which takes the kernel a while.
    pub fn settle_pod(&self, ifindex: u32) -> Result<Method, Error> {
        attach::tc(&self.root, program::FROM_POD, ifindex, Direction::Ingress, Method::Tcx)
    }

    /// The veths of pods whose programs have not been moved there.
    pub fn unsettled(&self) -> Result<BTreeSet<u32>, Error> {
        let mut interfaces = self.interfaces()?;
        interfaces.retain(|ifindex| !self.root.link(program::FROM_POD, *ifindex).exists());
        Ok(interfaces)
    }

    /// Takes a pod's programs off again. Nothing there is success.
    pub fn detach_pod(&self, ifindex: u32) -> Result<(), Error> {
        attach::detach_tc(&self.root, program::FROM_POD, ifindex, Direction::Ingress)
    }

    /// Forgets the programs of a pod's veth that is gone, and they with it.
    pub fn forget_link(&self, ifindex: u32) -> Result<(), Error> {
        attach::forget_tc(&self.root, program::FROM_POD, ifindex)
    }

    /// Forgets the endpoints, the port mappings and the flows of interfaces that are gone: of pods that nobody deleted here,
    /// because our plugin was taken out of a vendor's list while they ran. Returns of how many.
    pub fn forget_gone(&self) -> Result<usize, Error> {
        let mut socket = Socket::open()?;
        let (endpoints, mappings) = (self.endpoints()?, self.mappings()?);
        let known = endpoints.iter().map(|(_, endpoint)| endpoint.ifindex);
        let known: BTreeSet<u32> = known.chain(mappings.iter().map(|(_, owner)| *owner)).collect();
        let mut gone = 0;
        for ifindex in known {
            if link_by_index(&mut socket, ifindex)?.is_some() {
                continue;
            }
            gone += 1;
            // No new flow to the pod by its port, then none at all.
            self.unmap_ports(ifindex)?;
            for (addr, _) in endpoints.iter().filter(|(_, endpoint)| endpoint.ifindex == ifindex) {
                self.remove_endpoint(*addr, ifindex)?;
            }
            log::info!("interface {ifindex} is gone; its pod's addresses and port mappings are forgotten");
        }
        Ok(gone)
    }

    /// Moves every pod to the programs now pinned, and forgets what is known of interfaces that are gone. Returns how
    /// many interfaces are attached, and the errors of those that could not be.
    pub fn reattach(&self) -> Result<(usize, Vec<Error>), Error> {
        self.forget_gone()?;
        let interfaces = self.interfaces()?;
        let results = interfaces.iter().map(|&ifindex| self.attach_pod(ifindex));
        let errors: Vec<Error> = results.filter_map(Result::err).collect();
        self.forget_links_except(program::FROM_POD, &interfaces)?;
        Ok((interfaces.len() - errors.len(), errors))
    }

    fn interfaces(&self) -> Result<BTreeSet<u32>, Error> {
        Ok(self.endpoints()?.iter().map(|(_, endpoint)| endpoint.ifindex).collect())
    }

    /// Writes the endpoint of one of a pod's addresses.
    pub fn set_endpoint(&self, addr: IpAddr, endpoint: &Endpoint) -> Result<(), Error> {
        match addr {
            IpAddr::V4(addr) => self.table(map::ENDPOINTS4)?.set(&Ip4::from(addr), endpoint),
            IpAddr::V6(addr) => self.table(map::ENDPOINTS6)?.set(&Ip6::from(addr), endpoint),
        }
    }

    /// Changes the flags of an endpoint if the address still belongs to `ifindex`; tells whether it does.
    pub fn set_flags(&self, addr: IpAddr, ifindex: u32, flags: u32) -> Result<bool, Error> {
        fn set<A: Pod + Default>(
            mut table: Table<A, Endpoint>,
            addr: A,
            ifindex: u32,
            flags: u32,
        ) -> Result<bool, Error> {
            match table.get(&addr)?.filter(|endpoint| endpoint.ifindex == ifindex) {
                Some(endpoint) => table.replace(&addr, &Endpoint { flags, ..endpoint }),
                None => Ok(false),
            }
        }
        match addr {
            IpAddr::V4(addr) => set(self.table(map::ENDPOINTS4)?, Ip4::from(addr), ifindex, flags),
            IpAddr::V6(addr) => set(self.table(map::ENDPOINTS6)?, Ip6::from(addr), ifindex, flags),
        }
    }

    /// Removes the endpoint of an address if it still belongs to `ifindex`, then the flows of that address.
    pub fn remove_endpoint(&self, addr: IpAddr, ifindex: u32) -> Result<(), Error> {
        match addr {
            IpAddr::V4(addr) => self.remove::<Ip4>(map::ENDPOINTS4, Self::flows4, addr.into(), ifindex),
            IpAddr::V6(addr) => self.remove::<Ip6>(map::ENDPOINTS6, Self::flows6, addr.into(), ifindex),
        }
    }

    /// The endpoint of an address.
    pub fn endpoint(&self, addr: IpAddr) -> Result<Option<Endpoint>, Error> {
        match addr {
            IpAddr::V4(addr) => self.table::<Ip4, Endpoint>(map::ENDPOINTS4)?.get(&Ip4::from(addr)),
            IpAddr::V6(addr) => self.table::<Ip6, Endpoint>(map::ENDPOINTS6)?.get(&Ip6::from(addr)),
        }
    }

    /// Every endpoint.
    pub fn endpoints(&self) -> Result<Vec<(IpAddr, Endpoint)>, Error> {
        let v4 = self.table::<Ip4, Endpoint>(map::ENDPOINTS4)?.entries()?;
        let v6 = self.table::<Ip6, Endpoint>(map::ENDPOINTS6)?.entries()?;
        let v4 = v4.into_iter().map(|(addr, endpoint)| (addr.into(), endpoint));
        Ok(v4.chain(v6.into_iter().map(|(addr, endpoint)| (addr.into(), endpoint))).collect())
    }

    /// The IPv4 flow table.
    pub fn flows4(&self) -> Result<Flows<Ip4>, Error> {
        Flows::open(&self.root, map::FLOWS4, map::FLOWS_NEW4)
    }

    /// The IPv6 flow table.
    pub fn flows6(&self) -> Result<Flows<Ip6>, Error> {
        Flows::open(&self.root, map::FLOWS6, map::FLOWS_NEW6)
    }

    fn table<K: Pod + Default, V: Pod + Default>(&self, name: &str) -> Result<Table<K, V>, Error> {
        Table::open(&self.root.map(name))
    }

    fn remove<A: Address + Pod>(
        &self,
        endpoints: &str,
        flows: impl Fn(&Self) -> Result<Flows<A>, Error>,
        addr: A,
        ifindex: u32,
    ) -> Result<(), Error> {
        let mut endpoints = self.table::<A, Endpoint>(endpoints)?;
        match endpoints.get(&addr)? {
            // The address has a new owner, or nobody: its flows are not ours to cut.
            Some(endpoint) if endpoint.ifindex != ifindex => return Ok(()),
            // The endpoint goes first, so that no packet in between makes a new flow to it.
            Some(_) => endpoints.remove(&addr)?,
            // An earlier attempt may have come this far and no further.
            None => false,
        };
        let is_translated_to = |flow: &Flow<A>| {
            let Translation { src, dst, .. } = flow.translation;
            flow.flags & Flow::<A>::TRANSLATED != 0 && (src == addr || dst == addr)
        };
        // Of each flow that is both directions, so nobody has to look for the other.
        let mut flows = flows(self)?;
        let entries = flows.entries()?;
        let of_pod = entries.iter().filter(|(key, flow)| key.src == addr || key.dst == addr || is_translated_to(flow));
        let of_pod: Vec<_> = of_pod.map(|(key, _)| *key).collect();
        flows.remove_all(&of_pod)?;
        Ok(())
    }

    /// The interfaces that have a pinned link of the pods' programs.
    pub fn linked(&self) -> Result<BTreeSet<u32>, Error> {
        self.links(program::FROM_POD)
    }

    fn forget_links_except(&self, program: &str, interfaces: &BTreeSet<u32>) -> Result<(), Error> {
        for ifindex in self.links(program)?.difference(interfaces) {
            attach::unpin(&self.root.link(program, *ifindex))?;
        }
        Ok(())
    }

    fn links(&self, program: &str) -> Result<BTreeSet<u32>, Error> {
        let dir = self.root.links_dir();
        let mut links = BTreeSet::new();
        for entry in fs::read_dir(&dir).map_err(Error::directory("list it", &dir))? {
            let name = entry.map_err(Error::directory("list it", &dir))?.file_name();
            let ifindex = name.to_str().and_then(|name| name.strip_prefix(program)?.strip_prefix('-'));
            links.extend(ifindex.and_then(|ifindex| ifindex.parse::<u32>().ok()));
        }
        Ok(links)
    }
}
