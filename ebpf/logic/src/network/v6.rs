//! IPv6 and its extension headers.

use caracal_abi::Ip6;

use super::{Family, Fragment, Network};
use crate::{
    Bytes, Kind, Malformed,
    headers::{Ipv6, Ipv6Extension, Ipv6Fragment},
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

    #[inline(always)]
    fn network<B: Bytes + ?Sized>(bytes: &B, l3: usize) -> Result<Network<Ip6>, Malformed> {
        let header: Ipv6 = bytes.read(l3).ok_or(Malformed::TooShort)?;
        if header.version_class_flow.get() >> 28 != 6 {
            return Err(Malformed::Version);
        }
        let chain = Chain::follow(bytes, header.next_header, l3 + size_of::<Ipv6>())?;
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
            fragment: chain.fragment,
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
    offset: usize,
    has_fragment_header: bool,
    fragment: Fragment,
}

impl Chain {
    /// To the first header that is not an extension, or to the data of a later fragment. ESP ends the chain: what
    /// follows is encrypted.
    #[inline(always)]
    fn follow<B: Bytes + ?Sized>(bytes: &B, next_header: u8, offset: usize) -> Result<Self, Malformed> {
        let mut chain = Self { next_header, offset, has_fragment_header: false, fragment: Fragment::default() };
        for _ in 0..MAX_EXTENSIONS {
            if chain.is_at_end() {
                return Ok(chain);
            }
            chain.step(bytes)?;
        }
        if chain.is_at_end() { Ok(chain) } else { Err(Malformed::TooManyExtensions) }
    }

    #[inline(always)]
    fn is_at_end(&self) -> bool {
        self.fragment.offset != 0
            || !matches!(
                self.next_header,
                HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS | MOBILITY | HIP | SHIM6
            )
    }

    /// Over one extension header, at most 2048 bytes: the sum of all stays far below what the verifier can follow.
    #[inline(always)]
    fn step<B: Bytes + ?Sized>(&mut self, bytes: &B) -> Result<(), Malformed> {
        if self.next_header == FRAGMENT {
            return self.step_fragment(bytes);
        }
        let extension: Ipv6Extension = bytes.read(self.offset).ok_or(Malformed::TooShort)?;
        let len = usize::from(extension.len);
        self.offset += if self.next_header == AUTHENTICATION { (len + 2) * 4 } else { (len + 1) * 8 };
        self.next_header = extension.next_header;
        Ok(())
    }

    #[inline(always)]
    fn step_fragment<B: Bytes + ?Sized>(&mut self, bytes: &B) -> Result<(), Malformed> {
        if self.has_fragment_header {
            return Err(Malformed::NestedFragment);
        }
        let header: Ipv6Fragment = bytes.read(self.offset).ok_or(Malformed::TooShort)?;
        let offset_flags = header.offset_flags.get();
        self.has_fragment_header = true;
        self.fragment = Fragment { id: header.id.get(), offset: offset_flags & 0xfff8, more: offset_flags & 1 != 0 };
        self.offset += size_of::<Ipv6Fragment>();
        self.next_header = header.next_header;
        Ok(())
    }
}
