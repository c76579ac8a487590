//! Reading packets: what is where, whether the checksums are right, and what a person would want to know.
//!
//! Written for short and odd packets too, such as those that ICMP errors quote: what is cut off is not there, and nothing
//! else is wrong.

mod checksum;
mod edit;
mod show;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use checksum::verify;
pub(crate) use checksum::{crc32c, transport_checksum};
pub use edit::Edit;
pub(crate) use show::summary;
pub use show::{differences, hex};

pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMP6: u8 = 58;
pub(crate) const SCTP: u8 = 132;
pub(crate) const FRAGMENT: u8 = 44;
/// Extension headers that say their length: hop-by-hop, routing, destination options.
const EXTENSIONS: [u8; 3] = [0, 43, 60];

/// An IP packet, in an Ethernet frame or as an ICMP error quotes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    bytes: Vec<u8>,
    /// Where the IP header begins.
    l3: usize,
    /// Where what is above IP begins; may lie behind the end.
    l4: usize,
    protocol: u8,
    fragment: Option<Fragment>,
}

/// What a fragment says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Which packet it is of.
    pub id: u32,
    /// Where its bytes belong.
    pub offset: usize,
    /// Whether others follow.
    pub more: bool,
}

impl Packet {
    /// The packet in an Ethernet frame; nothing if there is none.
    #[must_use]
    pub fn from_ethernet(frame: &[u8]) -> Option<Self> {
        let mut at = 12;
        let mut ether_type = word(frame, at)?;
        while [0x8100, 0x88a8].contains(&ether_type) {
            at += 4;
            ether_type = word(frame, at)?;
        }
        [0x0800, 0x86dd].contains(&ether_type).then(|| Self::at(frame, at + 2))?
    }

    /// The packet that begins here.
    fn at(bytes: &[u8], l3: usize) -> Option<Self> {
        let version = bytes.get(l3)? >> 4;
        let (l4, protocol, fragment) = match version {
            4 => Self::ipv4(bytes, l3)?,
            6 => Self::ipv6(bytes, l3)?,
            _ => return None,
        };
        Some(Self { bytes: bytes.to_vec(), l3, l4, protocol, fragment })
    }

    fn ipv4(bytes: &[u8], l3: usize) -> Option<(usize, u8, Option<Fragment>)> {
        let header = bytes.get(l3..l3 + 20)?;
        let length = usize::from(header[0] & 15) * 4;
        let place = word(header, 6)?;
        let fragment = Fragment {
            id: word(header, 4)?.into(),
            offset: usize::from(place & 0x1fff) * 8,
            more: place & 0x2000 != 0,
        };
        let is_fragment = fragment.more || fragment.offset > 0;
        (length >= 20).then_some((l3 + length, header[9], is_fragment.then_some(fragment)))
    }

    fn ipv6(bytes: &[u8], l3: usize) -> Option<(usize, u8, Option<Fragment>)> {
        let header = bytes.get(l3..l3 + 40)?;
        let (mut next, mut at, mut fragment) = (header[6], l3 + 40, None);
        while let Some(extension) = bytes.get(at..at + 8) {
            if next == FRAGMENT {
                let place = word(extension, 2)?;
                let id = u32::from_be_bytes(extension[4..8].try_into().ok()?);
                fragment = Some(Fragment { id, offset: usize::from(place & 0xfff8), more: place & 1 != 0 });
                (next, at) = (extension[0], at + 8);
            } else if EXTENSIONS.contains(&next) {
                (next, at) = (extension[0], at + 8 + usize::from(extension[1]) * 8);
            } else {
                break;
            }
            if fragment.is_some_and(|fragment| fragment.offset > 0) {
                break;
            }
        }
        Some((at, next, fragment))
    }

    /// The packet that an ICMP error quotes.
    #[must_use]
    pub fn quoted(&self) -> Option<Self> {
        let is_error = match (self.protocol, self.icmp()?.0) {
            (ICMP, kind) => [3, 4, 5, 11, 12].contains(&kind),
            (ICMP6, kind) => kind < 128,
            _ => false,
        };
        is_error.then(|| Self::at(self.payload(), 0)).flatten()
    }

    /// All of it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Ethernet source and destination.
    #[must_use]
    pub fn mac(&self) -> ([u8; 6], [u8; 6]) {
        let at = |at: usize| self.bytes.get(at..at + 6).and_then(|mac| mac.try_into().ok()).unwrap_or_default();
        (at(6), at(0))
    }

    /// Numbers of its VLANs, the outer first.
    #[must_use]
    pub fn vlans(&self) -> Vec<u16> {
        (14..self.l3).step_by(4).filter_map(|at| word(&self.bytes, at)).map(|tag| tag & 0xfff).collect()
    }

    /// Whether it is IPv4.
    #[must_use]
    pub fn is_ipv4(&self) -> bool {
        self.bytes[self.l3] >> 4 == 4
    }

    /// Source and destination address.
    #[must_use]
    pub fn ip(&self) -> (IpAddr, IpAddr) {
        let header = &self.bytes[self.l3..];
        if self.is_ipv4() {
            let at = |at: usize| <[u8; 4]>::try_from(&header[at..at + 4]).map(Ipv4Addr::from).expect("four bytes");
            (at(12).into(), at(16).into())
        } else {
            let at = |at: usize| <[u8; 16]>::try_from(&header[at..at + 16]).map(Ipv6Addr::from).expect("sixteen bytes");
            (at(8).into(), at(24).into())
        }
    }

    /// TTL or hop limit.
    #[must_use]
    pub fn ttl(&self) -> u8 {
        self.bytes[self.l3 + if self.is_ipv4() { 8 } else { 7 }]
    }

    /// The protocol above IP.
    #[must_use]
    pub fn protocol(&self) -> u8 {
        self.protocol
    }

    /// What it says if it is a fragment.
    #[must_use]
    pub fn fragment(&self) -> Option<Fragment> {
        self.fragment
    }

    /// Source and destination port. An echo's identifier counts as both, as in the flow table.
    #[must_use]
    pub fn ports(&self) -> Option<(u16, u16)> {
        let l4 = self.transport();
        match self.protocol {
            _ if self.is_later_fragment() => None,
            TCP | UDP | SCTP => Some((word(l4, 0)?, word(l4, 2)?)),
            ICMP | ICMP6 if self.is_echo() => {
                let id = word(l4, 4)?;
                Some(if matches!(l4.first(), Some(8 | 128)) { (id, 0) } else { (0, id) })
            }
            _ => None,
        }
    }

    /// Flags of TCP.
    #[must_use]
    pub fn tcp_flags(&self) -> Option<u8> {
        (self.protocol == TCP && !self.is_later_fragment()).then(|| self.transport().get(13).copied())?
    }

    /// Type and code of ICMP or ICMPv6.
    #[must_use]
    pub fn icmp(&self) -> Option<(u8, u8)> {
        let is_icmp = [ICMP, ICMP6].contains(&self.protocol) && !self.is_later_fragment();
        is_icmp.then(|| Some((*self.transport().first()?, *self.transport().get(1)?)))?
    }

    /// The MTU that an ICMP error tells.
    #[must_use]
    pub fn mtu(&self) -> Option<u32> {
        let too_big = [(ICMP, (3, 4)), (ICMP6, (2, 0))].contains(&(self.protocol, self.icmp()?));
        let bytes = self.transport().get(4..8)?.try_into().ok()?;
        too_big.then_some(u32::from_be_bytes(bytes))
    }

    /// What is behind the transport's header.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        let l4 = self.transport();
        let header = match self.protocol {
            _ if self.is_later_fragment() => 0,
            TCP => l4.get(12).map_or(0, |byte| usize::from(byte >> 4) * 4),
            UDP | ICMP | ICMP6 => 8,
            SCTP => 12,
            _ => 0,
        };
        l4.get(header..).unwrap_or_default()
    }

    /// What is above IP, as far as it is there and belongs to the packet.
    #[must_use]
    pub fn transport(&self) -> &[u8] {
        self.bytes.get(self.l4..self.end()).unwrap_or_default()
    }

    /// From the IP header to the end of the packet.
    #[must_use]
    pub fn ip_bytes(&self) -> &[u8] {
        &self.bytes[self.l3..self.end()]
    }

    /// Whether all of it is there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.claimed_end() <= self.bytes.len()
    }

    pub(crate) fn ip_header_len(&self) -> usize {
        self.l4 - self.l3
    }

    fn is_later_fragment(&self) -> bool {
        self.fragment.is_some_and(|fragment| fragment.offset > 0)
    }

    fn is_echo(&self) -> bool {
        matches!((self.protocol, self.icmp()), (ICMP, Some((0 | 8, _))) | (ICMP6, Some((128 | 129, _))))
    }

    fn end(&self) -> usize {
        self.claimed_end().clamp(self.l3, self.bytes.len())
    }

    /// Where it ends by its own word.
    fn claimed_end(&self) -> usize {
        let length = |at: usize| word(&self.bytes, self.l3 + at).map_or(0, usize::from);
        self.l3 + if self.is_ipv4() { length(2) } else { 40 + length(4) }
    }
}

pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests;
