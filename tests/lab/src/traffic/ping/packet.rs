//! ICMP and ICMPv6 packets as raw sockets give and take them: IPv4 with the IP header on what is received, IPv6
//! without.

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const IPV6_HEADER_LEN: usize = 40;

/// What identifies an echo request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Echo {
    pub(super) v4: bool,
    pub(super) id: u16,
    pub(super) sequence: u16,
}

/// What can answer an echo request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Reply,
    Error { kind: u8, code: u8, mtu: Option<u32> },
}

impl Echo {
    /// The request, with `size` bytes behind its header.
    pub(super) fn request(self, size: usize) -> Vec<u8> {
        let kind = if self.v4 { 8 } else { 128 };
        let mut packet = vec![kind, 0, 0, 0];
        packet.extend(self.id.to_be_bytes());
        packet.extend(self.sequence.to_be_bytes());
        packet.extend((0..=u8::MAX).cycle().take(size));
        if self.v4 {
            // For ICMPv6 the kernel does it, since the pseudo header has an address that is not known yet.
            let sum = checksum(&packet).to_be_bytes();
            for (byte, value) in packet.iter_mut().skip(2).zip(sum) {
                *byte = value;
            }
        }
        packet
    }

    /// What a received packet means for this request; `None` if it is about something else.
    pub(super) fn answer(self, packet: &[u8]) -> Option<Answer> {
        let icmp = if self.v4 { behind_ipv4(packet)? } else { packet };
        let (&kind, &code) = (icmp.first()?, icmp.get(1)?);
        let (reply, request) = if self.v4 { (0, 8) } else { (129, 128) };
        if kind == reply {
            return self.is_of(icmp).then_some(Answer::Reply);
        }
        let quoted = icmp.get(8..)?;
        let quoted = match (self.v4, kind) {
            (true, 3 | 5 | 11 | 12) => behind_ipv4(quoted)?,
            (false, 1..=4) => behind_ipv6(quoted)?,
            _ => return None,
        };
        let field = icmp.get(4..8)?.try_into().map(u32::from_be_bytes).ok()?;
        let mtu = match (self.v4, kind, code) {
            (true, 3, 4) => Some(field & 0xffff),
            (false, 2, _) => Some(field),
            _ => None,
        };
        (quoted.first() == Some(&request) && self.is_of(quoted)).then_some(Answer::Error { kind, code, mtu })
    }

    fn is_of(self, icmp: &[u8]) -> bool {
        icmp.get(4..6) == Some(&self.id.to_be_bytes()) && icmp.get(6..8) == Some(&self.sequence.to_be_bytes())
    }
}

fn behind_ipv4(packet: &[u8]) -> Option<&[u8]> {
    let header_len = usize::from(packet.first()? & 0x0f) * 4;
    (packet.get(9) == Some(&ICMP)).then(|| packet.get(header_len..))?
}

fn behind_ipv6(packet: &[u8]) -> Option<&[u8]> {
    (packet.get(6) == Some(&ICMPV6)).then(|| packet.get(IPV6_HEADER_LEN..))?
}

/// The internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match *pair {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        [high] => u32::from(high) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: Echo = Echo { v4: true, id: 0x1234, sequence: 7 };
    const V6: Echo = Echo { v4: false, ..V4 };

    /// An IPv4 header of 20 bytes for ICMP.
    fn ipv4(rest: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, ICMP];
        packet.resize(20, 0);
        packet.extend(rest);
        packet
    }

    fn ipv6(rest: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, 0, ICMPV6, 64];
        packet.resize(IPV6_HEADER_LEN, 0);
        packet.extend(rest);
        packet
    }

    fn error(kind: u8, code: u8, field: u32, quoted: &[u8]) -> Vec<u8> {
        [&[kind, code, 0, 0][..], &field.to_be_bytes(), quoted].concat()
    }

    #[test]
    fn a_request_has_a_checksum_that_verifies() {
        for size in [0, 1, 56, 1473] {
            let request = V4.request(size);
            assert_eq!(request.len(), 8 + size);
            assert_eq!(checksum(&request), 0, "size {size}");
        }
    }

    #[test]
    fn replies_are_told_from_those_of_others() {
        let mut reply = V4.request(8);
        reply[0] = 0;
        assert_eq!(V4.answer(&ipv4(&reply)), Some(Answer::Reply));
        assert_eq!(Echo { sequence: 8, ..V4 }.answer(&ipv4(&reply)), None);
        assert_eq!(Echo { id: 1, ..V4 }.answer(&ipv4(&reply)), None);
        assert_eq!(V4.answer(&ipv4(&V4.request(8))), None, "a request is no answer");
        reply[0] = 129;
        assert_eq!(V6.answer(&reply), Some(Answer::Reply));
    }

    #[test]
    fn errors_are_matched_by_the_packet_they_quote() {
        let quoted = ipv4(&V4.request(0));
        let too_big = ipv4(&error(3, 4, 1400, &quoted));
        assert_eq!(V4.answer(&too_big), Some(Answer::Error { kind: 3, code: 4, mtu: Some(1400) }));
        assert_eq!(Echo { sequence: 8, ..V4 }.answer(&too_big), None);
        let exceeded = ipv4(&error(11, 0, 0, &quoted));
        assert_eq!(V4.answer(&exceeded), Some(Answer::Error { kind: 11, code: 0, mtu: None }));

        let quoted = ipv6(&V6.request(0));
        assert_eq!(V6.answer(&error(2, 0, 1280, &quoted)), Some(Answer::Error { kind: 2, code: 0, mtu: Some(1280) }));
        assert_eq!(V6.answer(&error(1, 4, 0, &quoted)), Some(Answer::Error { kind: 1, code: 4, mtu: None }));
    }

    #[test]
    fn truncated_packets_are_nobodys() {
        for echo in [V4, V6] {
            let whole = if echo.v4 {
                ipv4(&error(3, 4, 1, &ipv4(&echo.request(0))))
            } else {
                error(2, 0, 1, &ipv6(&echo.request(0)))
            };
            for len in 0..whole.len() {
                assert_eq!(echo.answer(&whole[..len]), None, "length {len}");
            }
            assert!(echo.answer(&whole).is_some());
        }
    }
}
