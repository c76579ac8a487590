//! A frame as the parser reads it, with both address families in one type.

use std::net::IpAddr;

use caracal_abi::Address;
use caracal_logic::{Family, Fragment, Kind, Link, Malformed, Packet, V4, V6, inner, link, parse};

/// A packet of either family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    pub src: IpAddr,
    pub dst: IpAddr,
    pub sport: u16,
    pub dport: u16,
    pub protocol: u8,
    pub kind: Kind,
    pub l3: usize,
    pub l4: usize,
    pub l3_len: u32,
    pub ttl: u8,
    pub control: u8,
    pub fragment: Fragment,
}

impl<A: Address + Into<IpAddr>> From<Packet<A>> for Read {
    fn from(packet: Packet<A>) -> Self {
        let Packet { key, l3, l4, l3_len, ttl, kind, control, fragment } = packet;
        Self {
            src: key.src.into(),
            dst: key.dst.into(),
            sport: key.sport.get(),
            dport: key.dport.get(),
            protocol: key.protocol,
            kind,
            l3,
            l4,
            l3_len,
            ttl,
            control,
            fragment,
        }
    }
}

/// The frame's IP packet, and for an ICMP error the one inside it. `None` if the frame has no IP in it.
pub fn read(frame: &[u8]) -> Result<Option<(Link, Read, Option<Inner>)>, Malformed> {
    let link = link(frame)?;
    let (packet, inner) = match link.ether_type.get() {
        V4::ETHER_TYPE => read_family::<V4>(frame, link.l3)?,
        V6::ETHER_TYPE => read_family::<V6>(frame, link.l3)?,
        _ => return Ok(None),
    };
    Ok(Some((link, packet, inner)))
}

/// What came of looking into an ICMP error.
pub type Inner = Result<Read, Malformed>;

fn read_family<F: Family>(frame: &[u8], l3: usize) -> Result<(Read, Option<Inner>), Malformed>
where
    F::Addr: Into<IpAddr>,
{
    let packet = parse::<F, _>(frame, l3)?;
    assert_eq!(packet.key.reverse().reverse(), packet.key);
    let inner = (packet.kind == Kind::IcmpError).then(|| inner::<F, _>(frame, &packet).map(Read::from));
    Ok((packet.into(), inner))
}
