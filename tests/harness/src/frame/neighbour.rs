//! What hosts of one link tell each other by ICMPv6: neighbour discovery and multicast listeners.

use std::net::{IpAddr, Ipv6Addr};

use super::Frame;
use crate::shape;

const HOP_BY_HOP: u8 = 0;
/// Router alert for MLD, and padding.
const ROUTER_ALERT: [u8; 6] = [5, 2, 0, 0, 1, 0];

impl Frame {
    /// Who is the router here?
    #[must_use]
    pub fn router_solicitation(self) -> Vec<u8> {
        self.ttl(255).icmp(133, 0, [0; 4], &[])
    }

    /// I am, for half an hour.
    #[must_use]
    pub fn router_advertisement(self) -> Vec<u8> {
        self.ttl(255).icmp(134, 0, [64, 0, 0x07, 0x08], &[0; 8])
    }

    /// Who has this address? With the asking link's address.
    #[must_use]
    pub fn neighbour_solicitation(self, target: Ipv6Addr) -> Vec<u8> {
        self.ttl(255).icmp(135, 0, [0; 4], &self.target(target, 1, self.mac.0))
    }

    /// I have, and everybody may know.
    #[must_use]
    pub fn neighbour_advertisement(self, target: Ipv6Addr) -> Vec<u8> {
        self.ttl(255).icmp(136, 0, [0x20, 0, 0, 0], &self.target(target, 2, self.mac.0))
    }

    /// MLDv2: I listen to this group. Sent to all routers that know MLDv2.
    #[must_use]
    pub fn multicast_report(self, group: Ipv6Addr) -> Vec<u8> {
        let to: Ipv6Addr = "ff02::16".parse().expect("an address");
        let mut record = vec![4, 0, 0, 0];
        record.extend(group.octets());
        let report = Self { ip: (self.ip.0, IpAddr::V6(to)), ..self }.ttl(1).icmp(143, 0, [0, 0, 0, 1], &record);
        shape::ipv6_extension(&report, HOP_BY_HOP, &ROUTER_ALERT)
    }

    fn target(self, target: Ipv6Addr, option: u8, mac: [u8; 6]) -> Vec<u8> {
        assert!(self.ip.0.is_ipv6(), "neighbours are discovered by ARP in IPv4");
        let mut body = target.octets().to_vec();
        body.extend([option, 1]);
        body.extend(mac);
        body
    }
}
