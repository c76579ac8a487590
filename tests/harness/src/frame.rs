//! Building packets from one pod to another.

use std::net::IpAddr;

use etherparse::{IpHeaders, IpNumber, PacketBuilder, PacketBuilderStep, TcpHeader};

use crate::Pod;

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

    /// UDP.
    #[must_use]
    pub fn udp(self, sport: u16, dport: u16, payload: &[u8]) -> Vec<u8> {
        let builder = self.ip_step().udp(sport, dport);
        let mut packet = Vec::with_capacity(builder.size(payload.len()));
        builder.write(&mut packet, payload).expect("a well-formed packet");
        packet
    }

    /// An SCTP packet; what its chunks say nobody here asks.
    #[must_use]
    pub fn sctp(self, sport: u16, dport: u16, chunks: &[u8]) -> Vec<u8> {
        let mut message = [sport.to_be_bytes(), dport.to_be_bytes()].concat();
        message.extend([0, 0, 0, 1, 0, 0, 0, 0]);
        message.extend(chunks);
        let checksum = crc32c(&message);
        message[8..12].copy_from_slice(&checksum.to_le_bytes());
        let mut packet = Vec::new();
        self.ip_step().write(&mut packet, IpNumber::SCTP, &message).expect("a well-formed packet");
        packet
    }

    /// The first segment of a TCP connection.
    #[must_use]
    pub fn syn(self, sport: u16, dport: u16) -> Vec<u8> {
        self.tcp(|ip| ip.tcp(sport, dport, 1, 1024).syn())
    }

    /// The second.
    #[must_use]
    pub fn syn_ack(self, sport: u16, dport: u16) -> Vec<u8> {
        self.tcp(|ip| ip.tcp(sport, dport, 1, 1024).syn().ack(2))
    }

    /// Any other.
    #[must_use]
    pub fn ack(self, sport: u16, dport: u16) -> Vec<u8> {
        self.tcp(|ip| ip.tcp(sport, dport, 2, 1024).ack(2))
    }

    fn tcp(self, segment: impl FnOnce(PacketBuilderStep<IpHeaders>) -> PacketBuilderStep<TcpHeader>) -> Vec<u8> {
        let builder = segment(self.ip_step());
        let mut packet = Vec::with_capacity(builder.size(0));
        builder.write(&mut packet, &[]).expect("a well-formed packet");
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

/// As RFC 9260 has it, bit by bit.
fn crc32c(message: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in message {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 0 { 0 } else { 0x82f6_3b78 };
        }
    }
    !crc
}
