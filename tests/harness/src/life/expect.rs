//! What a test expects of a hop.

use std::net::IpAddr;

use caracal_abi::{Be16, Flow, FlowKey, Reason, Via};

use super::Life;
use crate::{Action, Edit, Packet, Pod, packet::differences};

#[expect(
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    reason = "what matters is that it did not panic"
)]
impl Life<'_> {
    /// It was sent on.
    #[track_caller]
    pub fn redirected(self) -> Self {
        self.answer_was(Action::Redirect)
    }

    /// It was left to the host's stack, exactly as it came.
    #[track_caller]
    pub fn to_host(self) -> Self {
        self.answer_was(Action::Host).unchanged()
    }

    /// It was left to the host's stack, changed like this.
    #[track_caller]
    pub fn to_host_as(self, change: impl FnOnce(Edit) -> Edit) -> Self {
        self.answer_was(Action::Host).becomes(change)
    }

    /// It was dropped.
    #[track_caller]
    pub fn dropped(self) -> Self {
        self.answer_was(Action::Drop)
    }

    /// The hop counted it under this reason, once, and under no other.
    #[track_caller]
    pub fn counted(self, reason: Reason) -> Self {
        self.counted_all(&[reason])
    }

    /// The hop counted it under these reasons, once each, and under no other.
    #[track_caller]
    pub fn counted_all(self, reasons: &[Reason]) -> Self {
        let counted = &self.hop().counted;
        let right = counted.len() == reasons.len()
            && counted.iter().all(|(_, reason, packets)| *packets == 1 && reasons.contains(reason));
        if !right {
            self.fail(&format!("counted {counted:?}, expected {reasons:?}"));
        }
        self
    }

    /// The hop counted nothing, as with every packet but a flow's first.
    #[track_caller]
    pub fn uncounted(self) -> Self {
        self.counted_all(&[])
    }

    /// It left the hop exactly as it came.
    #[track_caller]
    pub fn unchanged(self) -> Self {
        let sent = self.hop().sent.clone();
        self.is(&sent)
    }

    /// It left the hop as it came but for this, checksums following.
    #[track_caller]
    pub fn becomes(self, change: impl FnOnce(Edit) -> Edit) -> Self {
        let expected = change(Edit::of(&self.hop().sent)).into_bytes();
        self.is(&expected)
    }

    /// It is exactly this packet now.
    #[track_caller]
    pub fn is(self, expected: &[u8]) -> Self {
        if let Some(differences) = differences(&self.packet, expected) {
            self.fail(&differences);
        }
        self
    }

    /// A look at the packet as it is now.
    #[track_caller]
    pub fn shows(self, look: impl FnOnce(&Packet)) -> Self {
        match Packet::from_ethernet(&self.packet) {
            Some(packet) => look(&packet),
            None => self.fail("it is no IP packet"),
        }
        self
    }

    /// It has these addresses now.
    #[track_caller]
    pub fn is_from_to(self, src: IpAddr, dst: IpAddr) -> Self {
        self.shows(|packet| assert_eq!(packet.ip(), (src, dst), "{packet}"))
    }

    /// It was redirected into this pod: its flow leads there, and it has the pod's MAC addresses.
    #[track_caller]
    pub fn reaches(self, pod: &Pod) -> Self {
        let life = self.redirected().out_of(pod.ifindex);
        life.shows(|packet| assert_eq!(packet.mac(), (pod.gateway, pod.mac), "MAC addresses of {packet}"))
    }

    /// Its flow leads out of this interface.
    #[track_caller]
    pub fn out_of(self, ifindex: u32) -> Self {
        self.flow(|flow| assert_eq!(flow.out_ifindex, ifindex, "the way out of {flow:?}"))
    }

    /// Its flow goes this way.
    #[track_caller]
    pub fn via(self, via: Via) -> Self {
        self.flow(|flow| assert_eq!(flow.via(), Some(via), "the way of {flow:?}"))
    }

    /// Its flow has had so many packets.
    #[track_caller]
    pub fn packets(self, packets: u64) -> Self {
        self.flow(|flow| assert_eq!(flow.packets, packets, "packets of {flow:?}"))
    }

    /// A look at its flow: of the packet as it came to the hop.
    #[track_caller]
    pub fn flow(self, look: impl FnOnce(&Flow<IpAddr>)) -> Self {
        let key = self.key_of(&self.hop().sent);
        self.look_at(&key, look)
    }

    /// A look at the flow that an answer would find: of the packet as it is now, turned around.
    #[track_caller]
    pub fn reply_flow(self, look: impl FnOnce(&Flow<IpAddr>)) -> Self {
        let key = self.key_of(&self.packet).reverse();
        self.look_at(&key, look)
    }

    /// No flow was stored for it, in neither direction.
    #[track_caller]
    pub fn no_flow(self) -> Self {
        let keys = [self.key_of(&self.hop().sent), self.key_of(&self.packet).reverse()];
        for key in keys {
            if let Some(flow) = self.plane().flow(&key) {
                self.fail(&format!("there is {flow:?} of {key:?}"));
            }
        }
        self
    }

    #[track_caller]
    fn look_at(self, key: &FlowKey<IpAddr>, look: impl FnOnce(&Flow<IpAddr>)) -> Self {
        match self.plane().flow(key) {
            Some(flow) => look(&flow),
            None => self.fail(&format!("there is no flow of {key:?}, but {:?}", self.plane().flows())),
        }
        self
    }

    #[track_caller]
    fn key_of(&self, frame: &[u8]) -> FlowKey<IpAddr> {
        let Some(packet) = Packet::from_ethernet(frame) else { self.fail("it is no IP packet and has no flow") };
        let ((src, dst), (sport, dport)) = (packet.ip(), packet.ports().unwrap_or_default());
        FlowKey::new(src, dst, Be16::new(sport), Be16::new(dport), packet.protocol())
    }

    #[track_caller]
    fn answer_was(self, action: Action) -> Self {
        let found = self.hop().action;
        if found != action {
            self.fail(&format!("{found:?}, expected {action:?}"));
        }
        self
    }
}
