//! Changing packets as a router or a translator does, checksums included.

use std::net::IpAddr;

use super::{
    ICMP, ICMP6, Packet, SCTP, TCP, UDP,
    checksum::{fold, sctp_checksum, transport_checksum},
    word,
};

/// A packet that is being changed: what a test expects to come out, said by its difference from what went in.
#[derive(Clone, Debug)]
pub struct Edit(Packet);

impl Edit {
    /// Begins with a frame.
    #[must_use]
    pub fn of(frame: &[u8]) -> Self {
        Self(Packet::from_ethernet(frame).expect("an edited frame holds an IP packet"))
    }

    /// The result.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.bytes
    }

    /// Other Ethernet addresses: source and destination.
    #[must_use]
    pub fn mac(mut self, src: [u8; 6], dst: [u8; 6]) -> Self {
        self.0.bytes[..12].copy_from_slice(&[dst, src].concat());
        self
    }

    /// Another lifetime.
    #[must_use]
    pub fn ttl(mut self, ttl: u8) -> Self {
        let at = self.0.l3 + if self.0.is_ipv4() { 8 } else { 7 };
        self.0.bytes[at] = ttl;
        self.close_header();
        self
    }

    /// One hop older.
    #[must_use]
    pub fn aged(self) -> Self {
        let ttl = self.0.ttl();
        self.ttl(ttl - 1)
    }

    /// Another source address.
    #[must_use]
    pub fn src(self, ip: IpAddr) -> Self {
        let offset = if self.0.is_ipv4() { 12 } else { 8 };
        self.address(offset, ip)
    }

    /// Another destination address.
    #[must_use]
    pub fn dst(self, ip: IpAddr) -> Self {
        let offset = if self.0.is_ipv4() { 16 } else { 24 };
        self.address(offset, ip)
    }

    /// Another source port.
    #[must_use]
    pub fn sport(self, port: u16) -> Self {
        self.port(0, port)
    }

    /// Another destination port.
    #[must_use]
    pub fn dport(self, port: u16) -> Self {
        self.port(2, port)
    }

    /// Another identifier of an echo.
    #[must_use]
    pub fn id(self, id: u16) -> Self {
        self.port(4, id)
    }

    /// The packet that an ICMP error quotes, changed.
    #[must_use]
    pub fn quoted(mut self, change: impl FnOnce(Self) -> Self) -> Self {
        let quoted = self.0.quoted().expect("an ICMP error");
        let changed = change(Self(quoted)).into_bytes();
        let at = self.0.l4 + 8;
        self.0.bytes[at..at + changed.len()].copy_from_slice(&changed);
        let (ip, protocol, l4, end) = (self.0.ip(), self.0.protocol, self.0.l4, self.0.end());
        self.0.bytes[l4 + 2..l4 + 4].fill(0);
        let checksum = transport_checksum(ip, protocol, &self.0.bytes[l4..end]);
        self.0.bytes[l4 + 2..l4 + 4].copy_from_slice(&checksum.to_be_bytes());
        self
    }

    /// Turned around, as who got it would answer: addresses and ports swapped, lifetime 64, and of TCP and ICMP what comes
    /// next: SYN → SYN ACK → ACK, FIN → FIN ACK, echo request → reply. The payload stays.
    #[must_use]
    pub fn answered(self) -> Self {
        let (src, dst) = self.0.ip();
        let (from, to) = self.0.mac();
        let (ports, flags, icmp) = (self.0.ports(), self.0.tcp_flags(), self.0.icmp());
        let mut answer = self.mac(to, from).src(dst).dst(src).ttl(64);
        match (answer.0.protocol, ports) {
            (TCP | UDP | SCTP, Some((sport, dport))) => answer = answer.sport(dport).dport(sport),
            (ICMP | ICMP6, _) => {
                let (kind, code) = icmp.expect("an ICMP packet");
                let kind = match kind {
                    8 => 0,
                    128 => 129,
                    other => panic!("nobody answers ICMP of type {other}"),
                };
                answer.set(0, u16::from_be_bytes([kind, code]));
            }
            _ => {}
        }
        if let Some(flags) = flags {
            answer.set_flags(next_flags(flags));
        }
        answer
    }

    fn address(mut self, offset: usize, ip: IpAddr) -> Self {
        let at = self.0.l3 + offset;
        let new = match ip {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        assert_eq!(self.0.is_ipv4(), ip.is_ipv4(), "{ip} in a packet of the other family");
        let covered = [TCP, UDP, ICMP6].contains(&self.0.protocol);
        for (at, pair) in (at..).step_by(2).zip(new.chunks(2)) {
            let (old, new) = (word(&self.0.bytes, at).expect("an address"), u16::from_be_bytes([pair[0], pair[1]]));
            self.0.bytes[at..at + 2].copy_from_slice(pair);
            if covered {
                self.change_checksum(old, new);
            }
        }
        self.close_header();
        self
    }

    fn port(mut self, offset: usize, port: u16) -> Self {
        self.set(offset, port);
        self
    }

    fn set_flags(&mut self, flags: u8) {
        let offset = self.0.transport()[12];
        self.set(12, u16::from_be_bytes([offset, flags]));
    }

    /// Writes a word of the transport header, if it is here.
    fn set(&mut self, offset: usize, value: u16) {
        if self.0.is_later_fragment() || self.0.transport().len() < offset + 2 {
            return;
        }
        let at = self.0.l4 + offset;
        let old = word(&self.0.bytes, at).expect("it is here");
        self.0.bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
        self.change_checksum(old, value);
    }

    /// RFC 1624, or all anew for SCTP. A checksum that is cut off, or that UDP leaves out, stays so.
    fn change_checksum(&mut self, old: u16, new: u16) {
        let (l4, end) = (self.0.l4, self.0.end());
        if self.0.is_later_fragment() {
            return;
        }
        let offset = match self.0.protocol {
            TCP => 16,
            UDP => 6,
            ICMP | ICMP6 => 2,
            SCTP if self.0.is_complete() && self.0.fragment.is_none() => {
                let checksum = sctp_checksum(&self.0.bytes[l4..end]);
                self.0.bytes[l4 + 8..l4 + 12].copy_from_slice(&checksum);
                return;
            }
            _ => return,
        };
        let Some(checksum) = word(&self.0.bytes[..end], l4 + offset) else { return };
        if self.0.protocol == UDP && checksum == 0 {
            return;
        }
        let mut changed = !fold(u64::from(!checksum) + u64::from(!old) + u64::from(new));
        if self.0.protocol == UDP && changed == 0 {
            changed = u16::MAX;
        }
        self.0.bytes[l4 + offset..l4 + offset + 2].copy_from_slice(&changed.to_be_bytes());
    }

    /// IPv4's header checksum, anew.
    fn close_header(&mut self) {
        if self.0.is_ipv4() {
            let (l3, l4) = (self.0.l3, self.0.l4);
            self.0.bytes[l3 + 10..l3 + 12].fill(0);
            let checksum = !super::checksum::sum(&self.0.bytes[l3..l4]);
            self.0.bytes[l3 + 10..l3 + 12].copy_from_slice(&checksum.to_be_bytes());
        }
    }
}

/// What a segment with these flags is answered with.
fn next_flags(flags: u8) -> u8 {
    use crate::tcp::{ACK, FIN, SYN};
    match (flags & SYN != 0, flags & ACK != 0, flags & FIN != 0) {
        (true, false, _) => SYN | ACK,
        (_, _, true) => FIN | ACK,
        _ => ACK,
    }
}
