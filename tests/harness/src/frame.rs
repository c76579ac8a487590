//! Building packets: whole ones, from one address to another.
//!
//! What is special about a packet beneath its transport (tags, options, fragments) [`crate::shape`] adds afterwards.

mod icmp;
mod neighbour;
mod sctp;

use std::net::IpAddr;

use etherparse::{IpHeaders, IpNumber, PacketBuilder, PacketBuilderStep, TcpHeader};
pub use icmp::{Problem, Quote};

use crate::Pod;

/// TCP's flags, as they lie in its header: `tcp::SYN | tcp::ACK`.
pub mod tcp {
    /// No more data.
    pub const FIN: u8 = 1;
    /// Opens.
    pub const SYN: u8 = 2;
    /// Resets.
    pub const RST: u8 = 4;
    /// Not to wait for more.
    pub const PSH: u8 = 8;
    /// The acknowledgement counts.
    pub const ACK: u8 = 16;
    /// The urgent pointer counts.
    pub const URG: u8 = 32;
    /// Congestion was seen.
    pub const ECE: u8 = 64;
    /// And was answered.
    pub const CWR: u8 = 128;
}

/// A packet to be built: who sends it to whom, and with which lifetime.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Source and destination MAC address.
    pub mac: ([u8; 6], [u8; 6]),
    /// Source and destination address, of one family.
    pub ip: (IpAddr, IpAddr),
    /// TTL or hop limit.
    pub ttl: u8,
}

impl Frame {
    /// From a pod to an address, by its gateway.
    #[must_use]
    pub fn new(from: &Pod, to: IpAddr) -> Self {
        Self { mac: (from.mac, from.gateway), ip: (from.ip, to), ttl: 64 }
    }

    /// With another lifetime.
    #[must_use]
    pub fn ttl(self, ttl: u8) -> Self {
        Self { ttl, ..self }
    }

    /// With another source address.
    #[must_use]
    pub fn source(self, ip: IpAddr) -> Self {
        Self { ip: (ip, self.ip.1), ..self }
    }

    /// With another Ethernet source.
    #[must_use]
    pub fn source_mac(self, mac: [u8; 6]) -> Self {
        Self { mac: (mac, self.mac.1), ..self }
    }

    /// With another Ethernet destination.
    #[must_use]
    pub fn towards(self, mac: [u8; 6]) -> Self {
        Self { mac: (self.mac.0, mac), ..self }
    }

    /// UDP.
    #[must_use]
    pub fn udp(self, sport: u16, dport: u16, payload: &[u8]) -> Vec<u8> {
        let builder = self.ip_step().udp(sport, dport);
        let mut packet = Vec::with_capacity(builder.size(payload.len()));
        builder.write(&mut packet, payload).expect("a well-formed packet");
        packet
    }

    /// UDP whose sender did not compute a checksum, which IPv4 allows.
    #[must_use]
    pub fn udp_without_checksum(self, sport: u16, dport: u16, payload: &[u8]) -> Vec<u8> {
        assert!(self.ip.0.is_ipv4(), "in IPv6 the checksum of UDP is not to be left out");
        let mut packet = self.udp(sport, dport, payload);
        let checksum = packet.len() - payload.len() - 2;
        packet[checksum..checksum + 2].fill(0);
        packet
    }

    /// TCP with any [`tcp`] flags and data.
    #[must_use]
    pub fn tcp(self, sport: u16, dport: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
        let has = |flag: u8| flags & flag != 0;
        let mut header = TcpHeader::new(sport, dport, if has(tcp::SYN) { 1 } else { 2 }, 1024);
        header.acknowledgment_number = if has(tcp::ACK) { 2 } else { 0 };
        (header.fin, header.syn, header.rst, header.psh) = (has(tcp::FIN), has(tcp::SYN), has(tcp::RST), has(tcp::PSH));
        (header.ack, header.urg, header.ece, header.cwr) = (has(tcp::ACK), has(tcp::URG), has(tcp::ECE), has(tcp::CWR));
        let builder = self.ip_step().tcp_header(header);
        let mut packet = Vec::with_capacity(builder.size(payload.len()));
        builder.write(&mut packet, payload).expect("a well-formed packet");
        packet
    }

    /// The first segment of a TCP connection.
    #[must_use]
    pub fn syn(self, sport: u16, dport: u16) -> Vec<u8> {
        self.tcp(sport, dport, tcp::SYN, &[])
    }

    /// The second.
    #[must_use]
    pub fn syn_ack(self, sport: u16, dport: u16) -> Vec<u8> {
        self.tcp(sport, dport, tcp::SYN | tcp::ACK, &[])
    }

    /// Any other.
    #[must_use]
    pub fn ack(self, sport: u16, dport: u16) -> Vec<u8> {
        self.tcp(sport, dport, tcp::ACK, &[])
    }

    /// The last of one side.
    #[must_use]
    pub fn fin(self, sport: u16, dport: u16) -> Vec<u8> {
        self.tcp(sport, dport, tcp::FIN | tcp::ACK, &[])
    }

    /// The end of a connection, at once.
    #[must_use]
    pub fn rst(self, sport: u16, dport: u16) -> Vec<u8> {
        self.tcp(sport, dport, tcp::RST | tcp::ACK, &[])
    }

    /// Any protocol above IP, such as 47 (GRE) or 50 (ESP), with these bytes.
    #[must_use]
    pub fn protocol(self, number: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = Vec::new();
        self.ip_step().write(&mut packet, IpNumber(number), payload).expect("a well-formed packet");
        packet
    }

    fn ip_step(self) -> PacketBuilderStep<IpHeaders> {
        let ethernet = PacketBuilder::ethernet2(self.mac.0, self.mac.1);
        match self.ip {
            (IpAddr::V4(from), IpAddr::V4(to)) => ethernet.ipv4(from.octets(), to.octets(), self.ttl),
            (IpAddr::V6(from), IpAddr::V6(to)) => ethernet.ipv6(from.octets(), to.octets(), self.ttl),
            (from, to) => panic!("{from} and {to} are of two families"),
        }
    }
}

#[cfg(test)]
mod tests;
