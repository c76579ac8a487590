//! Port mappings: a port of the node behind which a port of a pod is.

use std::net::IpAddr;

use aya::Pod;
use caracal_abi::{Be16, Ip4, Ip6, Service, ServiceKey, map};

use super::Pinned;
use crate::Error;

/// A port of the node, and who answers there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The node's address; unspecified stands for all of its family.
    pub host_ip: IpAddr,
    /// The node's port.
    pub host_port: u16,
    /// IP protocol number.
    pub protocol: u8,
    /// The pod's address, of the same family.
    pub pod_ip: IpAddr,
    /// The pod's port.
    pub pod_port: u16,
}

impl Pinned {
    /// Writes a mapping for the pod behind the veth `owner`. Another pod's is left alone, and its owner's veth told.
    pub fn map_port(&self, mapping: &Mapping, owner: u32) -> Result<Result<(), u32>, Error> {
        match (mapping.host_ip, mapping.pod_ip) {
            (IpAddr::V4(host), IpAddr::V4(pod)) => {
                self.write(map::SERVICES4, mapping, Ip4::from(host), Ip4::from(pod), owner)
            }
            (IpAddr::V6(host), IpAddr::V6(pod)) => {
                self.write(map::SERVICES6, mapping, Ip6::from(host), Ip6::from(pod), owner)
            }
            (host_ip, pod_ip) => Err(Error::MixedFamilies { host_ip, pod_ip }),
        }
    }

    /// Removes every mapping for the pod behind the veth `owner`.
    pub fn unmap_ports(&self, owner: u32) -> Result<(), Error> {
        self.remove_owned::<Ip4>(map::SERVICES4, owner)?;
        self.remove_owned::<Ip6>(map::SERVICES6, owner)
    }

    /// Every mapping, with the veth of its pod.
    pub fn mappings(&self) -> Result<Vec<(Mapping, u32)>, Error> {
        let v4 = self.table::<ServiceKey<Ip4>, Service<Ip4>>(map::SERVICES4)?.entries()?;
        let v6 = self.table::<ServiceKey<Ip6>, Service<Ip6>>(map::SERVICES6)?.entries()?;
        Ok(v4
            .iter()
            .map(|(key, service)| read(key, service))
            .chain(v6.iter().map(|(key, service)| read(key, service)))
            .collect())
    }

    fn write<A>(&self, name: &str, mapping: &Mapping, host: A, pod: A, owner: u32) -> Result<Result<(), u32>, Error>
    where
        A: Copy + Default,
        ServiceKey<A>: Pod + Default,
        Service<A>: Pod + Default,
    {
        let mut services = self.table::<ServiceKey<A>, Service<A>>(name)?;
        let key = ServiceKey::new(host, Be16::new(mapping.host_port), mapping.protocol);
        match services.get(&key)? {
            Some(service) if service.owner != owner => Ok(Err(service.owner)),
            _ => {
                let service = Service { backend: pod, port: Be16::new(mapping.pod_port), owner, ..Service::default() };
                services.set(&key, &service).map(Ok)
            }
        }
    }

    fn remove_owned<A>(&self, name: &str, owner: u32) -> Result<(), Error>
    where
        ServiceKey<A>: Pod + Default,
        Service<A>: Pod + Default,
    {
        let mut services = self.table::<ServiceKey<A>, Service<A>>(name)?;
        let entries = services.entries()?;
        let theirs: Vec<_> =
            entries.iter().filter(|(_, service)| service.owner == owner).map(|(key, _)| *key).collect();
        services.remove_all(&theirs).map(drop)
    }
}

fn read<A: Copy + Into<IpAddr>>(key: &ServiceKey<A>, service: &Service<A>) -> (Mapping, u32) {
    let mapping = Mapping {
        host_ip: key.addr.into(),
        host_port: key.port.get(),
        protocol: key.protocol,
        pod_ip: service.backend.into(),
        pod_port: service.port.get(),
    };
    (mapping, service.owner)
}
