//! Whether a packet's checksums are right, each computed anew.

use std::net::IpAddr;

use super::{ICMP, ICMP6, Packet, SCTP, TCP, UDP, word};

/// What is wrong with a frame's checksums: IP's, the transport's, and those of the packet that an ICMP error quotes, as
/// far as all they cover is there. Frames without an IP packet have none.
pub fn verify(frame: &[u8]) -> Result<(), String> {
    match Packet::from_ethernet(frame) {
        Some(packet) if packet.is_complete() => packet.verify(),
        Some(packet) => Err(format!("{packet}: shorter than its IP header says")),
        None => Ok(()),
    }
}

impl Packet {
    fn verify(&self) -> Result<(), String> {
        let header = &self.bytes[self.l3..self.l4.min(self.bytes.len())];
        if self.is_ipv4() && sum(header) != u16::MAX {
            return Err(format!("{self}: wrong IPv4 header checksum {:#06x}", word(header, 10).unwrap_or_default()));
        }
        if !self.is_complete() || self.fragment.is_some() {
            // The checksum covers what is not here.
            return Ok(());
        }
        self.verify_transport()?;
        self.quoted().map_or(Ok(()), |quoted| quoted.verify().map_err(|error| format!("{self}: it quotes {error}")))
    }

    fn verify_transport(&self) -> Result<(), String> {
        let message = self.transport();
        let (name, at) = match self.protocol {
            TCP => ("TCP", 16),
            UDP => ("UDP", 6),
            ICMP if self.is_ipv4() => ("ICMP", 2),
            ICMP6 if !self.is_ipv4() => ("ICMPv6", 2),
            SCTP => ("SCTP", 8),
            _ => return Ok(()),
        };
        let Some(found) = word(message, at) else { return Err(format!("{self}: {name} header cut short")) };
        let right = match self.protocol {
            SCTP => sctp_is_right(message),
            UDP if found == 0 => self.is_ipv4(),
            protocol => pseudo_sum(self.ip(), protocol, message) == u16::MAX,
        };
        if right { Ok(()) } else { Err(format!("{self}: wrong {name} checksum {found:#06x}")) }
    }
}

/// The checksum of a message above IP whose checksum field is zero.
pub fn transport_checksum(ip: (IpAddr, IpAddr), protocol: u8, message: &[u8]) -> u16 {
    !pseudo_sum(ip, protocol, message)
}

/// The sum over a message and what its checksum covers of the IP header: nothing for ICMP.
fn pseudo_sum((src, dst): (IpAddr, IpAddr), protocol: u8, message: &[u8]) -> u16 {
    let mut covered = Vec::with_capacity(40 + message.len());
    match (src, dst) {
        _ if protocol == ICMP => {}
        (IpAddr::V4(src), IpAddr::V4(dst)) => covered.extend([src.octets(), dst.octets()].concat()),
        (IpAddr::V6(src), IpAddr::V6(dst)) => covered.extend([src.octets(), dst.octets()].concat()),
        (src, dst) => panic!("{src} and {dst} are of two families"),
    }
    if protocol != ICMP {
        let length = u32::try_from(message.len()).expect("a packet's length");
        covered.extend(length.to_be_bytes());
        covered.extend([0, 0, 0, protocol]);
    }
    covered.extend(message);
    sum(&covered)
}

/// The ones' complement sum.
pub(super) fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u64::from(*low)));
    fold(words.sum())
}

/// The sum of sums, in sixteen bits.
pub(super) fn fold(mut sum: u64) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).expect("folded")
}

pub(super) fn sctp_checksum(message: &[u8]) -> [u8; 4] {
    let mut covered = message.to_vec();
    covered[8..12].fill(0);
    crc32c(&covered).to_le_bytes()
}

fn sctp_is_right(message: &[u8]) -> bool {
    message.len() >= 12 && message[8..12] == sctp_checksum(message)
}

/// As RFC 9260 has it, bit by bit.
pub fn crc32c(message: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in message {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 0 { 0 } else { 0x82f6_3b78 };
        }
    }
    !crc
}
