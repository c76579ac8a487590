//! IPv4.

use caracal_abi::Ip4;

use super::{Family, Fragment, Network};
use crate::{Bytes, Kind, Malformed, headers::Ipv4, wire::read};

/// IPv4.
#[derive(Clone, Copy, Debug)]
pub struct V4;

const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;

impl Family for V4 {
    type Addr = Ip4;
    const ETHER_TYPE: u16 = 0x0800;
    const ICMP: u8 = 1;
    const ECHO_REQUEST: u8 = 8;

    #[inline(always)]
    fn network<B: Bytes + ?Sized>(bytes: &B, l3: usize) -> Result<Network<Ip4>, Malformed> {
        let header = read!(Ipv4, bytes, l3);
        if header.version_ihl >> 4 != 4 {
            return Err(Malformed::Version);
        }
        let header_len = header.header_len();
        if header_len < size_of::<Ipv4>() {
            return Err(Malformed::HeaderLength);
        }
        let flags_offset = header.flags_offset.get();
        Ok(Network {
            src: header.src,
            dst: header.dst,
            protocol: header.protocol,
            ttl: header.ttl,
            l3_len: u32::from(header.total_len.get()),
            l4: l3 + header_len,
            fragment: Fragment {
                id: u32::from(header.id.get()),
                offset: (flags_offset & OFFSET) << 3,
                more: flags_offset & MORE_FRAGMENTS != 0,
            },
        })
    }

    #[inline(always)]
    fn icmp_kind(icmp_type: u8) -> Kind {
        match icmp_type {
            0 | 8 => Kind::Echo,
            // Destination unreachable, time exceeded, parameter problem.
            3 | 11 | 12 => Kind::IcmpError,
            _ => Kind::Icmp,
        }
    }
}
