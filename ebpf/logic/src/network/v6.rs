//! IPv6 and its extension headers.

use caracal_abi::Ip6;

use super::{Family, Fragment, Network};
use crate::{
    Bytes, Kind, Malformed,
    headers::{Ipv6, Ipv6Extension, Ipv6Fragment},
    verifier::{MAX_OFFSET, any_offset},
    wire::read,
};

/// IPv6.
#[derive(Clone, Copy, Debug)]
pub struct V6;

/// Extension headers that a packet may have. The kernel's own limit is on options, not on headers; nobody sends more
/// than three.
pub const MAX_EXTENSIONS: usize = 8;

const FIXED_LEN: u32 = 40;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;
const HIP: u8 = 139;
const SHIM6: u8 = 140;

impl Family for V6 {
    type Addr = Ip6;
    const ETHER_TYPE: u16 = 0x86dd;
    const ICMP: u8 = 58;
    const ECHO_REQUEST: u8 = 128;

    #[inline(always)]
    fn network<B: Bytes + ?Sized>(bytes: &B, l3: usize) -> Result<Network<Ip6>, Malformed> {
        let header = read!(Ipv6, bytes, l3);
        if header.version_class_flow.get() >> 28 != 6 {
            return Err(Malformed::Version);
        }
        let mut chain = Chain {
            next_header: header.next_header,
            has_fragment_header: false,
            offset: l3 + size_of::<Ipv6>(),
            id: 0,
            fragment_offset: 0,
            more: false,
        };
        if !chain.is_at_end() {
            chain.follow(bytes)?;
        }
        let l3_len = match header.payload_len.get() {
            0 => 0,
            payload_len => u32::from(payload_len) + FIXED_LEN,
        };
        Ok(Network {
            src: header.src,
            dst: header.dst,
            protocol: chain.next_header,
            ttl: header.hop_limit,
            l3_len,
            l4: chain.offset,
            fragment: Fragment { id: chain.id, offset: chain.fragment_offset, more: chain.more },
        })
    }

    #[inline(always)]
    fn icmp_kind(icmp_type: u8) -> Kind {
        match icmp_type {
            // Destination unreachable, packet too big, time exceeded, parameter problem.
            1..=4 => Kind::IcmpError,
            128 | 129 => Kind::Echo,
            // Router and neighbour solicitation and advertisement, redirect.
            133..=137 => Kind::Neighbour,
            _ => Kind::Icmp,
        }
    }
}

/// How far the chain of extension headers has been followed.
struct Chain {
    next_header: u8,
    has_fragment_header: bool,
    offset: usize,
    id: u32,
    fragment_offset: u16,
    more: bool,
}

impl Chain {
    /// To the first header that is not an extension, or to the data of a later fragment. ESP ends the chain: what
    /// follows is encrypted.
    ///
    /// The one function that is not inlined on BPF: few packets need it, and its loop would take the registers and the
    /// stack of the whole program.
    #[inline(never)]
    fn follow<B: Bytes + ?Sized>(&mut self, bytes: &B) -> Result<(), Malformed> {
        for _ in 0..MAX_EXTENSIONS {
            self.step(bytes)?;
            if self.is_at_end() {
                return Ok(());
            }
        }
        Err(Malformed::TooManyExtensions)
    }

    #[inline(always)]
    fn is_at_end(&self) -> bool {
        self.fragment_offset != 0
            || !matches!(
                self.next_header,
                HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS | MOBILITY | HIP | SHIM6
            )
    }

    /// Over one extension header, at most 2048 bytes.
    #[inline(always)]
    fn step<B: Bytes + ?Sized>(&mut self, bytes: &B) -> Result<(), Malformed> {
        if self.next_header == FRAGMENT {
            return self.step_fragment(bytes);
        }
        let extension = read!(Ipv6Extension, bytes, self.offset);
        let len = usize::from(extension.len);
        let len = if self.next_header == AUTHENTICATION { (len + 2) * 4 } else { (len + 1) * 8 };
        self.next_header = extension.next_header;
        self.advance(len, u16::from_le_bytes([extension.next_header, extension.len]))
    }

    #[inline(always)]
    fn step_fragment<B: Bytes + ?Sized>(&mut self, bytes: &B) -> Result<(), Malformed> {
        if self.has_fragment_header {
            return Err(Malformed::NestedFragment);
        }
        let header = read!(Ipv6Fragment, bytes, self.offset);
        let offset_flags = header.offset_flags.get();
        self.has_fragment_header = true;
        self.id = header.id.get();
        self.fragment_offset = offset_flags & 0xfff8;
        self.more = offset_flags & 1 != 0;
        self.next_header = header.next_header;
        self.advance(size_of::<Ipv6Fragment>(), offset_flags)
    }

    #[inline(always)]
    fn advance(&mut self, len: usize, noise: u16) -> Result<(), Malformed> {
        let offset = self.offset + len;
        if offset > MAX_OFFSET {
            return Err(Malformed::TooManyExtensions);
        }
        self.offset = any_offset(offset, noise);
        Ok(())
    }
}
