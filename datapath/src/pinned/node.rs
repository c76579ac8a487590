//! What is the node's own: addresses, NICs, sockets.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::Path,
};

use aya::Pod;
use caracal_abi::{Ip4, Ip6, Nic, map, program};

use super::Pinned;
use crate::{
    Error,
    attach::{self, Direction, Method},
};

impl Pinned {
    /// Makes the node's addresses known to be exactly `addresses`. Returns how many were added or removed.
    pub fn set_node_addresses(&self, addresses: &[IpAddr]) -> Result<usize, Error> {
        let v4 = addresses.iter().filter_map(|ip| if let IpAddr::V4(ip) = ip { Some(Ip4::from(*ip)) } else { None });
        let v6 = addresses.iter().filter_map(|ip| if let IpAddr::V6(ip) = ip { Some(Ip6::from(*ip)) } else { None });
        Ok(self.set_addresses(map::NODE4, v4.collect())? + self.set_addresses(map::NODE6, v6.collect())?)
    }

    /// Attaches the programs of NICs to exactly these interfaces. One failure stops no other.
    #[must_use]
    pub fn attach_nics(&self, interfaces: &BTreeSet<u32>) -> Vec<Error> {
        let attach =
            |ifindex: &u32| attach::tc(&self.root, program::FROM_NET, *ifindex, Direction::Ingress, Method::Tcx).err();
        let mut errors: Vec<Error> = interfaces.iter().filter_map(attach).collect();
        errors.extend(self.forget_links_except(program::FROM_NET, interfaces).err());
        errors
    }

    /// Makes these be what is known of NICs. Returns how many records were written or removed.
    pub fn set_nics(&self, wanted: &BTreeMap<u32, Nic>) -> Result<usize, Error> {
        let mut table = self.table::<u32, Nic>(map::NICS)?;
        let there: BTreeMap<u32, Nic> = table.entries()?.into_iter().collect();
        let gone: Vec<u32> = there.keys().filter(|ifindex| !wanted.contains_key(ifindex)).copied().collect();
        let new = wanted.iter().filter(|(ifindex, nic)| there.get(ifindex) != Some(nic));
        let new: Vec<(u32, Nic)> = new.map(|(ifindex, nic)| (*ifindex, *nic)).collect();
        table.set_all(&new)?;
        table.remove_all(&gone)?;
        Ok(new.len() + gone.len())
    }

    /// Attaches the programs of sockets to a cgroup: every process in it and below talks to services by them.
    pub fn attach_sockets(&self, cgroup: &Path) -> Result<(), Error> {
        attach::SOCKETS.iter().try_for_each(|(name, at)| attach::cgroup(&self.root, name, cgroup, *at))
    }

    fn set_addresses<A: Pod + Default + PartialEq>(&self, name: &str, wanted: Vec<A>) -> Result<usize, Error> {
        let mut table = self.table::<A, u32>(name)?;
        let there: Vec<A> = table.entries()?.into_iter().map(|(addr, _)| addr).collect();
        let gone: Vec<A> = there.iter().filter(|addr| !wanted.contains(addr)).copied().collect();
        let new: Vec<(A, u32)> =
            wanted.into_iter().filter(|addr| !there.contains(addr)).map(|addr| (addr, 0)).collect();
        table.set_all(&new)?;
        table.remove_all(&gone)?;
        Ok(new.len() + gone.len())
    }
}
