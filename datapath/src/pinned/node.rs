//! The node's own addresses.

use std::net::IpAddr;

use aya::Pod;
use caracal_abi::{Ip4, Ip6, map};

use super::Pinned;
use crate::Error;

impl Pinned {
    /// Makes the node's addresses known to be exactly `addresses`. Returns how many were added or removed.
    pub fn set_node_addresses(&self, addresses: &[IpAddr]) -> Result<usize, Error> {
        let v4 = addresses.iter().filter_map(|ip| if let IpAddr::V4(ip) = ip { Some(Ip4::from(*ip)) } else { None });
        let v6 = addresses.iter().filter_map(|ip| if let IpAddr::V6(ip) = ip { Some(Ip6::from(*ip)) } else { None });
        Ok(self.set_addresses(map::NODE4, v4.collect())? + self.set_addresses(map::NODE6, v6.collect())?)
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
