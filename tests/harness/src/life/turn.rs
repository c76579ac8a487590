//! What happens to a packet between the hops.

use std::{fmt::Write as _, net::IpAddr};

use super::Life;
use crate::{Edit, Frame, Nic, Packet, Problem, Quote, packet::summary};

#[expect(
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    reason = "what matters is that it did not panic"
)]
impl Life<'_> {
    /// Something on its way changes it: a router takes from its lifetime, the host's stack writes MAC addresses.
    pub fn on_the_way(self, change: impl FnOnce(Edit) -> Edit) -> Self {
        let packet = change(Edit::of(&self.packet)).into_bytes();
        self.goes_on_as("on the way becomes", packet)
    }

    /// It goes over a link from one NIC to another, as its neighbour.
    pub fn over_the_wire(self, from: &Nic, to: &Nic) -> Self {
        self.on_the_way(|it| it.mac(from.mac, to.mac))
    }

    /// Who got it answers: SYN by SYN ACK, that by ACK, FIN by FIN ACK, an echo request by a reply, anything else by itself
    /// turned around.
    pub fn answered(self) -> Self {
        let packet = Edit::of(&self.packet).answered().into_bytes();
        self.goes_on_as("is answered by", packet)
    }

    /// Somebody on its way, or who got it, complains to its sender by an ICMP error.
    #[track_caller]
    pub fn refused(self, by: IpAddr, problem: Problem, quote: Quote) -> Self {
        let Some(packet) = Packet::from_ethernet(&self.packet) else { self.fail("it is no IP packet") };
        let ((src, dst), (sender, _)) = (packet.mac(), packet.ip());
        let frame = Frame { mac: (dst, src), ip: (by, sender), ttl: 64 };
        let error = frame.error(problem, &self.packet, quote);
        self.goes_on_as("is refused by", error)
    }

    /// The next packet follows, on the same node.
    pub fn followed_by(self, packet: impl Into<Vec<u8>>) -> Self {
        self.goes_on_as("is followed by", packet.into())
    }

    fn goes_on_as(mut self, how: &str, packet: Vec<u8>) -> Self {
        // Writing to a string cannot fail.
        let _ = writeln!(self.trail, "{how} {}", summary(&packet));
        Self { packet, hop: None, ..self }
    }
}
