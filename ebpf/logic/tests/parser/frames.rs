//! Frames of known content, written with etherparse's header types.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use caracal_logic::{Fragment, Kind};
use etherparse::{
    EtherType, Ethernet2Header, IpAuthHeader, IpFragOffset, IpNumber, Ipv4Header, Ipv4Options, Ipv6FragmentHeader,
    Ipv6Header, Ipv6RawExtHeader, SingleVlanHeader, TcpHeader, TcpOptions, UdpHeader, VlanId, ip_number,
};

use crate::{oracle::sctp_control, read::Read};

/// What a frame is made of.
#[derive(Clone, Debug)]
pub struct Frame {
    /// `EtherType` and id of each tag, outermost first.
    pub tags: Vec<(u16, u16)>,
    pub ip: Ip,
    pub ttl: u8,
    pub transport: Transport,
    pub payload: Vec<u8>,
    /// Bytes behind the datagram, as short frames have.
    pub padding: usize,
}

#[derive(Clone, Debug)]
pub enum Ip {
    V4 { src: Ipv4Addr, dst: Ipv4Addr, options: Vec<[u8; 4]>, fragment: Fragment },
    V6 { src: Ipv6Addr, dst: Ipv6Addr, extensions: Vec<Extension> },
}

#[derive(Clone, Copy, Debug)]
pub enum Extension {
    /// Protocol number, and length in units of eight bytes beyond the first eight.
    Plain(u8, u8),
    /// Words of authentication data.
    Auth(u8),
    Fragment(Fragment),
}

#[derive(Clone, Debug)]
pub enum Transport {
    Tcp {
        sport: u16,
        dport: u16,
        flags: u8,
        options: Vec<[u8; 4]>,
    },
    Udp {
        sport: u16,
        dport: u16,
    },
    Sctp {
        sport: u16,
        dport: u16,
    },
    /// ICMP of the frame's family: type and identifier.
    Icmp(u8, u16),
    /// A protocol without ports.
    Other(u8),
}

pub const SRC_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const DST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

pub fn v4() -> Ip {
    let (src, dst) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
    Ip::V4 { src, dst, options: Vec::new(), fragment: Fragment { id: 7, ..Fragment::default() } }
}

pub fn v6(extensions: &[Extension]) -> Ip {
    let src = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    let dst = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
    Ip::V6 { src, dst, extensions: extensions.to_vec() }
}

pub fn tcp() -> Transport {
    Transport::Tcp { sport: 4321, dport: 80, flags: 0x12, options: Vec::new() }
}

pub fn udp() -> Transport {
    Transport::Udp { sport: 5353, dport: 53 }
}

impl Ip {
    /// As a fragment of the datagram number 7. For IPv6 the fragment header comes last.
    pub fn fragment(mut self, offset: u16, more: bool) -> Self {
        let part = Fragment { id: 7, offset, more };
        match &mut self {
            Self::V4 { fragment, .. } => *fragment = part,
            Self::V6 { extensions, .. } => extensions.push(Extension::Fragment(part)),
        }
        self
    }
}

/// IPv4 with this many words of options.
pub fn v4_options(words: usize) -> Ip {
    let mut ip = v4();
    if let Ip::V4 { options, .. } = &mut ip {
        options.resize(words, [1; 4]);
    }
    ip
}

impl Frame {
    pub fn new(ip: Ip, transport: Transport) -> Self {
        Self { tags: Vec::new(), ip, ttl: 64, transport, payload: b"payload, and more".to_vec(), padding: 0 }
    }

    pub fn l3(&self) -> usize {
        14 + 4 * self.tags.len()
    }

    pub fn fragment(&self) -> Fragment {
        match &self.ip {
            Ip::V4 { fragment, .. } => *fragment,
            Ip::V6 { extensions, .. } => extensions
                .iter()
                .find_map(
                    |extension| if let Extension::Fragment(fragment) = extension { Some(*fragment) } else { None },
                )
                .unwrap_or_default(),
        }
    }

    /// The frame's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let ip = self.datagram();
        let ether_type = if matches!(self.ip, Ip::V4 { .. }) { 0x0800 } else { 0x86dd };
        let mut types = self.tags.iter().map(|tag| tag.0).chain([ether_type]).map(EtherType);
        let mut next_type = || types.next().expect("one more than tags");
        let mut bytes = Vec::new();
        let ethernet = Ethernet2Header { source: SRC_MAC, destination: DST_MAC, ether_type: next_type() };
        ethernet.write(&mut bytes).unwrap();
        for (_, id) in &self.tags {
            let vlan_id = VlanId::try_new(*id).unwrap();
            let tag = SingleVlanHeader { vlan_id, ether_type: next_type(), ..SingleVlanHeader::default() };
            tag.write(&mut bytes).unwrap();
        }
        bytes.extend(ip);
        bytes.resize(bytes.len() + self.padding, 0);
        bytes
    }

    /// From the IP header to the end of the payload.
    pub fn datagram(&self) -> Vec<u8> {
        let payload = self.transport_bytes();
        match &self.ip {
            Ip::V4 { src, dst, options, fragment } => {
                let protocol = self.protocol();
                let len = u16::try_from(payload.len()).unwrap();
                let mut header = Ipv4Header::new(len, self.ttl, protocol, src.octets(), dst.octets()).unwrap();
                header.identification = u16::try_from(fragment.id).unwrap();
                header.fragment_offset = IpFragOffset::try_new(fragment.offset / 8).unwrap();
                header.more_fragments = fragment.more;
                header.dont_fragment = false;
                header.options = Ipv4Options::try_from(options.as_flattened()).unwrap();
                header.set_payload_len(payload.len()).unwrap();
                let mut bytes = Vec::new();
                header.write(&mut bytes).unwrap();
                bytes.extend(payload);
                bytes
            }
            Ip::V6 { src, dst, extensions } => self.datagram_v6(*src, *dst, extensions, &payload),
        }
    }

    fn datagram_v6(&self, src: Ipv6Addr, dst: Ipv6Addr, extensions: &[Extension], payload: &[u8]) -> Vec<u8> {
        let numbers: Vec<_> = extensions.iter().copied().map(Extension::number).chain([self.protocol()]).collect();
        let mut chain = Vec::new();
        for (extension, next) in extensions.iter().zip(&numbers[1..]) {
            chain.extend(extension.bytes(*next));
        }
        chain.extend(payload);
        let header = Ipv6Header {
            payload_length: u16::try_from(chain.len()).unwrap(),
            next_header: numbers[0],
            hop_limit: self.ttl,
            source: src.octets(),
            destination: dst.octets(),
            ..Ipv6Header::default()
        };
        let mut bytes = Vec::new();
        header.write(&mut bytes).unwrap();
        bytes.extend(chain);
        bytes
    }

    fn protocol(&self) -> IpNumber {
        match (&self.transport, &self.ip) {
            (Transport::Tcp { .. }, _) => ip_number::TCP,
            (Transport::Udp { .. }, _) => ip_number::UDP,
            (Transport::Sctp { .. }, _) => ip_number::SCTP,
            (Transport::Icmp(..), Ip::V4 { .. }) => ip_number::ICMP,
            (Transport::Icmp(..), Ip::V6 { .. }) => ip_number::IPV6_ICMP,
            (Transport::Other(protocol), _) => IpNumber(*protocol),
        }
    }

    /// The transport header and the payload; the payload alone in a later fragment.
    fn transport_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.fragment().offset == 0 {
            self.transport.write(self.payload.len(), &mut bytes);
        }
        bytes.extend(&self.payload);
        bytes
    }

    /// What the parser should make of it.
    pub fn expected(&self) -> Read {
        let datagram = self.datagram();
        let fragment = self.fragment();
        let ((src, dst), headers) = match &self.ip {
            Ip::V4 { src, dst, options, .. } => ((IpAddr::from(*src), IpAddr::from(*dst)), 20 + 4 * options.len()),
            Ip::V6 { src, dst, .. } => {
                ((IpAddr::from(*src), IpAddr::from(*dst)), datagram.len() - self.transport_bytes().len())
            }
        };
        // An IPv6 header alone says the same as one before more than it has a number for.
        let empty = matches!(self.ip, Ip::V6 { .. }) && datagram.len() == 40;
        let (kind, sport, dport, control) = match (&self.transport, &self.ip) {
            _ if fragment.offset != 0 => (Kind::Fragment, 0, 0, 0),
            (Transport::Tcp { sport, dport, flags, .. }, _) => (Kind::Tcp, *sport, *dport, *flags),
            (Transport::Udp { sport, dport }, _) => (Kind::Udp, *sport, *dport, 0),
            (Transport::Sctp { sport, dport }, _) => (Kind::Sctp, *sport, *dport, sctp_control(Some(&self.payload))),
            (Transport::Icmp(0 | 8, id), Ip::V4 { .. }) | (Transport::Icmp(128 | 129, id), Ip::V6 { .. }) => {
                let asks = matches!(self.transport, Transport::Icmp(8 | 128, _));
                let (sport, dport) = if asks { (*id, 0) } else { (0, *id) };
                (Kind::Echo, sport, dport, 0)
            }
            (Transport::Icmp(3 | 11 | 12, _), Ip::V4 { .. }) | (Transport::Icmp(1..=4, _), Ip::V6 { .. }) => {
                (Kind::IcmpError, 0, 0, 0)
            }
            (Transport::Icmp(133..=137, _), Ip::V6 { .. }) => (Kind::Neighbour, 0, 0, 0),
            (Transport::Icmp(..), _) => (Kind::Icmp, 0, 0, 0),
            (Transport::Other(_), _) => (Kind::Other, 0, 0, 0),
        };
        Read {
            src,
            dst,
            sport,
            dport,
            protocol: self.protocol().0,
            kind,
            l3: self.l3(),
            l4: self.l3() + headers,
            l3_len: if empty { 0 } else { u32::try_from(datagram.len()).unwrap() },
            ttl: self.ttl,
            control,
            fragment,
        }
    }
}

impl Extension {
    fn number(self) -> IpNumber {
        match self {
            Self::Plain(number, _) => IpNumber(number),
            Self::Auth(_) => ip_number::AUTH,
            Self::Fragment(_) => ip_number::IPV6_FRAG,
        }
    }

    fn bytes(self, next: IpNumber) -> Vec<u8> {
        match self {
            Self::Plain(_, len) => {
                Ipv6RawExtHeader::new_raw(next, &vec![0; 6 + 8 * usize::from(len)]).unwrap().to_bytes().to_vec()
            }
            Self::Auth(words) => {
                IpAuthHeader::new(next, 1, 2, &vec![0; 4 * usize::from(words)]).unwrap().to_bytes().to_vec()
            }
            Self::Fragment(Fragment { id, offset, more }) => {
                let offset = IpFragOffset::try_new(offset / 8).unwrap();
                Ipv6FragmentHeader::new(next, offset, more, id).to_bytes().to_vec()
            }
        }
    }
}

impl Transport {
    fn write(&self, payload_len: usize, bytes: &mut Vec<u8>) {
        match self {
            Self::Tcp { sport, dport, flags, options } => {
                let mut header = TcpHeader::new(*sport, *dport, 1, 1024);
                header.options = TcpOptions::try_from_slice(options.as_flattened()).unwrap();
                header.write(bytes).unwrap();
                bytes[13] = *flags;
            }
            Self::Udp { sport, dport } => {
                let length = u16::try_from(8 + payload_len).unwrap();
                let header = UdpHeader { source_port: *sport, destination_port: *dport, length, checksum: 0 };
                header.write(bytes).unwrap();
            }
            Self::Sctp { sport, dport } => {
                bytes.extend(sport.to_be_bytes());
                bytes.extend(dport.to_be_bytes());
                bytes.extend([0; 8]);
            }
            Self::Icmp(icmp_type, id) => {
                let [high, low] = id.to_be_bytes();
                bytes.extend([*icmp_type, 0, 0, 0, high, low, 0, 1]);
            }
            Self::Other(_) => {}
        }
    }
}
