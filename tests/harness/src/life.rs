//! A packet's life over several hops, told in the order in which it happens.
//!
//! ```no_run
//! # use caracal_abi::{Reason, Via};
//! # use caracal_harness::{Frame, Life, Nic, Plane, Pod, isolated};
//! # isolated(|root| {
//! let (plane, a, b) = (Plane::new(root), Pod::numbered("10.0.0.1", 1), Pod::numbered("10.0.0.2", 2));
//! plane.wire(&a);
//! plane.wire(&b);
//! Life::of(Frame::new(&a, b.ip).syn(4000, 80))
//!     .on(&plane)
//!     .from_pod(&a)
//!     .redirected()
//!     .counted(Reason::NewFlow)
//!     .becomes(|it| it.aged().mac(b.gateway, b.mac))
//!     .reaches(&b)
//!     .answered()
//!     .from_pod(&b)
//!     .redirected()
//!     .uncounted()
//!     .reaches(&a);
//! # });
//! ```
//!
//! After every hop of a packet whose checksums were right they must be right again.

mod expect;
mod turn;

use std::fmt::Write as _;

use caracal_abi::{Hook, Reason, program};
use caracal_datapath::counters;

use crate::{
    Action, Context, Nic, Plane, Pod,
    packet::{summary, verify},
};

/// A packet's life.
#[derive(Clone)]
pub struct Life<'a> {
    packet: Vec<u8>,
    context: Context,
    plane: Option<&'a Plane>,
    hop: Option<Hop>,
    /// What happened so far, for messages.
    trail: String,
}

/// What a program did.
#[derive(Clone)]
struct Hop {
    sent: Vec<u8>,
    action: Action,
    context: Context,
    counted: Vec<(Hook, Reason, u64)>,
}

#[expect(
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    reason = "what matters is that it did not panic"
)]
impl<'a> Life<'a> {
    /// Begins with a packet.
    pub fn of(packet: impl Into<Vec<u8>>) -> Self {
        let packet = packet.into();
        let trail = format!("begins as {}\n", summary(&packet));
        Self { packet, context: Context::default(), plane: None, hop: None, trail }
    }

    /// It is on this node now.
    pub fn on(self, plane: &'a Plane) -> Self {
        Self { plane: Some(plane), ..self }
    }

    /// With this beside it at its next hop: mark, segments. The interface is the hop's.
    pub fn with(self, context: Context) -> Self {
        Self { context, ..self }
    }

    /// A pod of the node sends it. The pod must be wired.
    #[track_caller]
    pub fn from_pod(self, pod: &Pod) -> Self {
        self.through(program::FROM_POD, pod.ifindex)
    }

    /// A NIC of the node receives it.
    #[track_caller]
    pub fn from_net(self, nic: &Nic) -> Self {
        self.through(program::FROM_NET, nic.ifindex)
    }

    /// It meets any program, on any interface.
    #[track_caller]
    pub fn through(mut self, program: &str, ifindex: u32) -> Self {
        let plane = self.plane();
        let before = counts(plane);
        let outcome = plane.run(program, &self.packet, &Context { ifindex, ..self.context });
        let counted =
            counts(plane).into_iter().zip(before).map(|((hook, reason, now), (.., then))| (hook, reason, now - then));
        let counted: Vec<_> = counted.filter(|(.., packets)| *packets > 0).collect();
        let names: Vec<_> = counted.iter().map(|(_, reason, _)| reason.name()).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            self.trail,
            "{program} on {ifindex}: {:?} {names:?}, {}",
            outcome.action,
            summary(&outcome.packet)
        );
        if let Some(damage) = damage(&self.packet, &outcome.packet) {
            self.fail(&damage);
        }
        let sent = std::mem::replace(&mut self.packet, outcome.packet);
        self.hop = Some(Hop { sent, action: outcome.action, context: outcome.context, counted });
        self.context = Context::default();
        self
    }

    /// The packet as it is now.
    #[must_use]
    pub fn packet(&self) -> &[u8] {
        &self.packet
    }

    /// What is beside it after its last hop.
    #[must_use]
    #[track_caller]
    pub fn context(&self) -> Context {
        self.hop().context
    }

    #[track_caller]
    fn plane(&self) -> &'a Plane {
        self.plane.unwrap_or_else(|| self.fail("it is on no node: say `.on(&plane)` first"))
    }

    #[track_caller]
    fn hop(&self) -> &Hop {
        self.hop.as_ref().unwrap_or_else(|| self.fail("nothing has happened to it yet"))
    }

    #[track_caller]
    fn fail(&self, what: &str) -> ! {
        panic!("{what}\nThe packet's life:\n{}", self.trail)
    }
}

/// What is wrong with a packet's checksums that was right when it came.
fn damage(sent: &[u8], received: &[u8]) -> Option<String> {
    verify(sent).ok()?;
    verify(received).err()
}

/// Every counter, in an order that does not change.
fn counts(plane: &Plane) -> Vec<(Hook, Reason, u64)> {
    let counts = counters::read(plane.root()).expect("read the counters");
    counts.into_iter().map(|count| (count.hook, count.reason, count.total.packets)).collect()
}

#[cfg(test)]
mod tests {
    use super::damage;
    use crate::{Frame, Pod};

    #[test]
    fn who_breaks_a_checksum_is_told_and_who_forwards_a_broken_one_is_not() {
        for [from, to] in [["10.0.0.1", "10.0.0.2"], ["fd00::1", "fd00::2"]] {
            let right = Frame::new(&Pod::new(from, 1, 1), to.parse().unwrap()).udp(4000, 53, b"x");
            let mut wrong = right.clone();
            *wrong.last_mut().unwrap() ^= 1;
            assert!(damage(&right, &wrong).is_some_and(|damage| damage.contains("wrong UDP checksum")));
            assert_eq!((damage(&right, &right), damage(&wrong, &wrong)), (None, None));
        }
    }
}
