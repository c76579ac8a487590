//! ICMP and ICMPv6: echo, and errors that quote a packet.

use super::Frame;
use crate::packet::{Packet, transport_checksum};

const ICMP: u8 = 1;
const ICMP6: u8 = 58;
/// What an ICMP error may be long in all, its IP header included: RFC 1812 and RFC 4443.
const LONGEST: [usize; 2] = [576, 1280];

/// What an ICMP error complains of, in either family's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No route to the destination.
    NoRoute,
    /// The destination does not answer.
    HostUnreachable,
    /// Forbidden by an administrator.
    Prohibited,
    /// Nobody listens there.
    PortUnreachable,
    /// Larger than what this link takes.
    TooBig {
        /// Of the link.
        mtu: u16,
    },
    /// The lifetime is used up.
    TimeExceeded,
    /// Not all fragments came.
    ReassemblyTime,
    /// The header makes no sense.
    Parameter,
}

/// How much of the packet an ICMP error quotes, from its IP header on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quote {
    /// The headers of IP and eight bytes, which is what RFC 792 asks for: TCP's checksum is not among them.
    Eight,
    /// As much as the RFCs allow, which is what hosts and routers send.
    Allowed,
    /// So many bytes behind the headers of IP.
    Bytes(usize),
}

impl Problem {
    /// Type, code and second word, for IPv4 and IPv6.
    fn numbers(self, v4: bool) -> (u8, u8, [u8; 4]) {
        let word = match self {
            Self::TooBig { mtu } => u32::from(mtu).to_be_bytes(),
            _ => [0; 4],
        };
        let [in_v4, in_v6] = match self {
            Self::NoRoute => [(3, 0), (1, 0)],
            Self::HostUnreachable => [(3, 1), (1, 3)],
            Self::Prohibited => [(3, 13), (1, 1)],
            Self::PortUnreachable => [(3, 3), (1, 4)],
            Self::TooBig { .. } => [(3, 4), (2, 0)],
            Self::TimeExceeded => [(11, 0), (3, 0)],
            Self::ReassemblyTime => [(11, 1), (3, 1)],
            Self::Parameter => [(12, 0), (4, 0)],
        };
        let (kind, code) = if v4 { in_v4 } else { in_v6 };
        (kind, code, word)
    }
}

impl Frame {
    /// An echo request.
    #[must_use]
    pub fn echo_request(self, id: u16, seq: u16, payload: &[u8]) -> Vec<u8> {
        self.icmp(if self.ip.0.is_ipv4() { 8 } else { 128 }, 0, echo(id, seq), payload)
    }

    /// An echo reply.
    #[must_use]
    pub fn echo_reply(self, id: u16, seq: u16, payload: &[u8]) -> Vec<u8> {
        self.icmp(if self.ip.0.is_ipv4() { 0 } else { 129 }, 0, echo(id, seq), payload)
    }

    /// An ICMP error about a packet, which is quoted as it is given here.
    #[must_use]
    pub fn error(self, problem: Problem, about: &[u8], quote: Quote) -> Vec<u8> {
        let v4 = self.ip.0.is_ipv4();
        let (kind, code, word) = problem.numbers(v4);
        let packet = Packet::from_ethernet(about).expect("an ICMP error quotes an IP packet");
        let (headers, quoted) = (packet.ip_header_len(), packet.ip_bytes());
        let (longest, own) = if v4 { (LONGEST[0], 20 + 8) } else { (LONGEST[1], 40 + 8) };
        let length = match quote {
            Quote::Eight => headers + 8,
            Quote::Allowed => longest - own,
            Quote::Bytes(bytes) => headers + bytes,
        };
        self.icmp(kind, code, word, &quoted[..length.min(quoted.len())])
    }

    /// Any ICMP message of the family: type, code, second word, and what follows.
    #[must_use]
    pub fn icmp(self, kind: u8, code: u8, word: [u8; 4], body: &[u8]) -> Vec<u8> {
        let mut message = vec![kind, code, 0, 0];
        message.extend(word);
        message.extend(body);
        let protocol = if self.ip.0.is_ipv4() { ICMP } else { ICMP6 };
        let checksum = transport_checksum(self.ip, protocol, &message);
        message[2..4].copy_from_slice(&checksum.to_be_bytes());
        self.protocol(protocol, &message)
    }
}

fn echo(id: u16, seq: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (id.to_be_bytes(), seq.to_be_bytes());
    [a, b, c, d]
}
