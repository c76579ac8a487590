//! Pods of fixtures.

use std::net::IpAddr;

use caracal_abi::{Endpoint, Mac};

/// A pod of the fixture.
#[derive(Clone, Copy, Debug)]
pub struct Pod {
    /// Its address.
    pub ip: IpAddr,
    /// Its MAC address.
    pub mac: [u8; 6],
    /// The MAC address of its host-side veth.
    pub gateway: [u8; 6],
    /// The index of its host-side veth.
    pub ifindex: u32,
}

impl Pod {
    /// A pod whose MAC addresses and address end in its number.
    #[must_use]
    pub fn new(ip: &str, number: u8, ifindex: u32) -> Self {
        let ip = ip.parse().expect("a fixture's address");
        Self { ip, mac: [2, 0, 0, 0, 1, number], gateway: [2, 0, 0, 0, 2, number], ifindex }
    }

    /// A pod with an interface of its own, once [`crate::Plane::wire`] has made it.
    #[must_use]
    pub fn numbered(ip: &str, number: u8) -> Self {
        Self::new(ip, number, 100 + u32::from(number))
    }

    /// Its entry in the endpoints map.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        Endpoint { ifindex: self.ifindex, pod_mac: Mac(self.mac), host_mac: Mac(self.gateway), ..Endpoint::default() }
    }
}
