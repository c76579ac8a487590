//! Packets in the messages of tests that fail.

use std::{
    fmt::{self, Write as _},
    net::{IpAddr, SocketAddr},
};

use super::{ICMP, ICMP6, Packet, SCTP, TCP, UDP};

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (src, dst) = self.ip();
        let (sport, dport) = self.ports().map_or((None, None), |(sport, dport)| (Some(sport), Some(dport)));
        let name = match self.protocol {
            TCP => "TCP".to_owned(),
            UDP => "UDP".to_owned(),
            SCTP => "SCTP".to_owned(),
            ICMP => "ICMP".to_owned(),
            ICMP6 => "ICMPv6".to_owned(),
            other => format!("protocol {other}"),
        };
        write!(f, "{name} {} > {} ttl {}", end(src, sport), end(dst, dport), self.ttl())?;
        if let Some(flags) = self.tcp_flags() {
            let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"].into_iter().enumerate();
            let set: Vec<_> = names.filter(|(bit, _)| flags >> bit & 1 != 0).map(|(_, name)| name).collect();
            write!(f, " [{}]", set.join(" "))?;
        }
        if let Some((kind, code)) = self.icmp() {
            write!(f, " type {kind} code {code}")?;
        }
        if let Some(mtu) = self.mtu() {
            write!(f, " mtu {mtu}")?;
        }
        if let Some(fragment) = self.fragment {
            let more = if fragment.more { "+" } else { "" };
            write!(f, " fragment {:#x}@{}{more}", fragment.id, fragment.offset)?;
        }
        for vlan in self.vlans() {
            write!(f, " VLAN {vlan}")?;
        }
        match self.quoted() {
            Some(quoted) => write!(f, " about ({quoted})"),
            None => write!(f, ", {} bytes", self.payload().len()),
        }
    }
}

fn end(ip: IpAddr, port: Option<u16>) -> String {
    port.map_or_else(|| ip.to_string(), |port| SocketAddr::new(ip, port).to_string())
}

/// A frame in one line, whatever it is.
pub(crate) fn summary(frame: &[u8]) -> String {
    match Packet::from_ethernet(frame) {
        Some(packet) => {
            let (src, dst) = packet.mac();
            format!("{} > {} {packet}", mac(src), mac(dst))
        }
        None => format!("a frame without IP: {}", hex(&frame[..frame.len().min(64)])),
    }
}

fn mac(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// Bytes as people write them.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// How a frame differs from what was expected, for people; nothing if it does not.
#[must_use]
pub fn differences(found: &[u8], expected: &[u8]) -> Option<String> {
    if found == expected {
        return None;
    }
    let mut text = format!("is       {}\nexpected {}\n", summary(found), summary(expected));
    if found.len() != expected.len() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} bytes, expected {}", found.len(), expected.len());
    }
    let differing = found.iter().zip(expected).enumerate().filter(|(_, (found, expected))| found != expected);
    for (at, (found, expected)) in differing.take(24) {
        let _ = writeln!(text, "byte {at} (IP {}): {found:02x}, expected {expected:02x}", at.saturating_sub(14));
    }
    Some(text)
}
