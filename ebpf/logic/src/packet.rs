//! A packet as the flow decision sees it.

use caracal_abi::{Be16, FlowKey};

use crate::{
    Bytes, Family, Fragment, Malformed, Network, Wire, control,
    headers::{Icmp, Nothing, Ports, Sctp, SctpChunk, Tcp, Udp},
    wire::read,
};

const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;

/// What a packet is, as far as flows are concerned.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
    /// ICMP echo request or reply: the identifier is the port of the one who asks, and the other has none.
    Echo,
    /// ICMP destination unreachable, packet too big, time exceeded, parameter problem: belongs to the flow of the
    /// packet inside it, which [`inner`] reads. A redirect is not one.
    IcmpError,
    /// Neighbour discovery: router and neighbour solicitation and advertisement, redirect.
    Neighbour,
    /// Any other ICMP.
    Icmp,
    /// A protocol without ports, or one whose ports cannot be seen (ESP).
    Other,
    /// A fragment that is not the first: its ports were in the first.
    Fragment,
}

impl Kind {
    /// Whether packets of this kind belong to a flow that their 5-tuple names.
    #[inline(always)]
    #[must_use]
    pub const fn has_flow(self) -> bool {
        matches!(self, Self::Tcp | Self::Udp | Self::Sctp | Self::Echo | Self::Other)
    }

    /// Whether packets of this kind have ports that can be changed.
    #[inline(always)]
    #[must_use]
    pub const fn has_ports(self) -> bool {
        matches!(self, Self::Tcp | Self::Udp | Self::Sctp)
    }
}

/// A packet, read once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<A> {
    /// The flow it belongs to. Ports are zero where [`Kind`] has none; the protocol of a later fragment of IPv6 can be
    /// the number of an extension header.
    pub key: FlowKey<A>,
    /// Where the IP header begins.
    pub l3: usize,
    /// Where the transport header begins; in a later fragment, where its data does.
    pub l4: usize,
    /// Bytes of the IP datagram as its header says; zero where it leaves that to the packet's own length (BIG TCP).
    /// The packet can be longer (Ethernet padding), and whether it is shorter is for the caller to see.
    pub l3_len: u32,
    /// TTL or hop limit.
    pub ttl: u8,
    /// What it is.
    pub kind: Kind,
    /// The flags of TCP, or those that an SCTP packet would have in its place ([`control`]); else zero.
    pub control: u8,
    /// Which part of its datagram it is. The first part has ports and a kind like a whole datagram, and `more` set.
    pub fragment: Fragment,
}

/// Reads the packet whose IP header begins at `l3`.
#[inline(always)]
pub fn parse<F: Family, B: Bytes + ?Sized>(bytes: &B, l3: usize) -> Result<Packet<F::Addr>, Malformed> {
    let network = F::network(bytes, l3)?;
    // Only GSO packets leave their length open, and those are never fragments.
    if network.l3_len == 0 && network.fragment.is_part() {
        return Err(Malformed::Length);
    }
    let mut packet = Packet::new(&network, l3);
    let room = packet.room();
    if packet.kind == Kind::Fragment {
        packet.judge_fragment::<F, B>(bytes, room)?;
    } else {
        packet.read_transport::<F, B>(bytes, room)?;
    }
    Ok(packet)
}

/// Reads the packet that an ICMP error is about: `packet` is of [`Kind::IcmpError`].
///
/// Only its addresses and ports are sure to be there, and its lengths are what some router left of them: neither they
/// nor the rest of the transport header are judged.
#[inline(always)]
pub fn inner<F: Family, B: Bytes + ?Sized>(bytes: &B, packet: &Packet<F::Addr>) -> Result<Packet<F::Addr>, Malformed> {
    let l3 = packet.l4 + size_of::<Icmp>();
    let network = F::network(bytes, l3)?;
    let mut inner = Packet::new(&network, l3);
    let room = packet.room();
    if inner.kind == Kind::Fragment {
        room.holds::<Nothing>(inner.l4)?;
        read!(Nothing, bytes, inner.l4);
    } else {
        inner.read_ports::<F, B>(bytes, room)?;
    }
    Ok(inner)
}

// These fill in the packet instead of returning what they read: a small aggregate that is returned gets squeezed into
// registers and taken apart again, even where the function is inlined.
impl<A: Copy> Packet<A> {
    /// With what the IP header says.
    #[inline(always)]
    fn new(network: &Network<A>, l3: usize) -> Self {
        let none = Be16::new(0);
        Self {
            key: FlowKey::new(network.src, network.dst, none, none, network.protocol),
            l3,
            l4: network.l4,
            l3_len: network.l3_len,
            ttl: network.ttl,
            kind: if network.fragment.offset == 0 { Kind::Other } else { Kind::Fragment },
            control: 0,
            fragment: network.fragment,
        }
    }

    #[inline(always)]
    fn room(&self) -> Room {
        let end = if self.l3_len == 0 { usize::MAX } else { self.l3 + self.l3_len as usize };
        Room { end, is_cut: self.fragment.more && self.fragment.offset == 0 }
    }

    #[inline(always)]
    fn set(&mut self, kind: Kind, ports: Ports) {
        self.kind = kind;
        self.key.sport = ports.src;
        self.key.dport = ports.dst;
    }

    /// From a transport header that must be whole and sound.
    #[inline(always)]
    fn read_transport<F: Family<Addr = A>, B: Bytes + ?Sized>(
        &mut self,
        bytes: &B,
        room: Room,
    ) -> Result<(), Malformed> {
        match self.key.protocol {
            TCP => {
                room.holds::<Tcp>(self.l4)?;
                let tcp = read!(Tcp, bytes, self.l4);
                if tcp.header_len() < size_of::<Tcp>() {
                    return Err(Malformed::TcpDataOffset);
                }
                room.reaches(self.l4 + tcp.header_len())?;
                self.set(Kind::Tcp, tcp.ports);
                self.control = tcp.flags;
            }
            UDP => {
                room.holds::<Udp>(self.l4)?;
                let udp = read!(Udp, bytes, self.l4);
                if matches!(udp.len.get(), 1..8) {
                    return Err(Malformed::UdpLength);
                }
                self.set(Kind::Udp, udp.ports);
            }
            SCTP => {
                room.holds::<Sctp>(self.l4)?;
                let sctp = read!(Sctp, bytes, self.l4);
                self.set(Kind::Sctp, sctp.ports);
                let chunk = self.l4 + size_of::<Sctp>();
                if room.holds::<SctpChunk>(chunk).is_ok() {
                    self.control = control::of_chunk(read!(SctpChunk, bytes, chunk).chunk_type);
                }
            }
            protocol if protocol == F::ICMP => self.read_icmp::<F, B>(bytes, room)?,
            _ => {
                room.holds::<Nothing>(self.l4)?;
                read!(Nothing, bytes, self.l4);
            }
        }
        Ok(())
    }

    /// From the beginning of a transport header of which no more may be there.
    #[inline(always)]
    fn read_ports<F: Family<Addr = A>, B: Bytes + ?Sized>(&mut self, bytes: &B, room: Room) -> Result<(), Malformed> {
        let protocol = self.key.protocol;
        let kind = match protocol {
            TCP => Kind::Tcp,
            UDP => Kind::Udp,
            SCTP => Kind::Sctp,
            _ => Kind::Other,
        };
        if kind != Kind::Other {
            room.holds::<Ports>(self.l4)?;
            let ports = read!(Ports, bytes, self.l4);
            self.set(kind, *ports);
        } else if protocol == F::ICMP {
            self.read_icmp::<F, B>(bytes, room)?;
        } else {
            room.holds::<Nothing>(self.l4)?;
            read!(Nothing, bytes, self.l4);
        }
        Ok(())
    }

    /// The last byte a datagram can have is number 65535, and no fragment may lie where the first has its header.
    #[inline(always)]
    fn judge_fragment<F: Family, B: Bytes + ?Sized>(&self, bytes: &B, room: Room) -> Result<(), Malformed> {
        room.holds::<Nothing>(self.l4)?;
        read!(Nothing, bytes, self.l4);
        let offset = usize::from(self.fragment.offset);
        if offset + (room.end - self.l4) > usize::from(u16::MAX) {
            return Err(Malformed::FragmentTooLong);
        }
        if offset < fixed_len::<F>(self.key.protocol) {
            return Err(Malformed::SplitHeader);
        }
        Ok(())
    }

    #[inline(always)]
    fn read_icmp<F: Family<Addr = A>, B: Bytes + ?Sized>(&mut self, bytes: &B, room: Room) -> Result<(), Malformed> {
        room.holds::<Icmp>(self.l4)?;
        let icmp = read!(Icmp, bytes, self.l4);
        self.kind = F::icmp_kind(icmp.icmp_type);
        if self.kind == Kind::Echo {
            // The one who asks has it for a port, and the other none: an answer and a question are two flows.
            let none = Be16::new(0);
            let asks = icmp.icmp_type == F::ECHO_REQUEST;
            let (src, dst) = if asks { (icmp.id, none) } else { (none, icmp.id) };
            self.set(Kind::Echo, Ports { src, dst });
        }
        Ok(())
    }
}

/// Bytes of the transport header that are always there.
#[inline(always)]
const fn fixed_len<F: Family>(protocol: u8) -> usize {
    match protocol {
        TCP => size_of::<Tcp>(),
        UDP => size_of::<Udp>(),
        SCTP => size_of::<Sctp>(),
        protocol if protocol == F::ICMP => size_of::<Icmp>(),
        _ => 0,
    }
}

/// Where the datagram ends, by its own account. What lies behind is padding, and no header.
#[derive(Clone, Copy)]
struct Room {
    end: usize,
    /// The rest is in later fragments.
    is_cut: bool,
}

impl Room {
    /// Refuses a header that goes beyond the end.
    #[inline(always)]
    fn holds<T: Wire>(self, offset: usize) -> Result<(), Malformed> {
        self.reaches(offset + size_of::<T>())
    }

    #[inline(always)]
    fn reaches(self, offset: usize) -> Result<(), Malformed> {
        if offset <= self.end {
            Ok(())
        } else if self.is_cut {
            Err(Malformed::SplitHeader)
        } else {
            Err(Malformed::Length)
        }
    }
}
