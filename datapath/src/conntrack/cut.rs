//! Flows that end because somebody says so.

use caracal_abi::{Address, Flow, FlowKey, Via};

use super::remove::Half;
use crate::{Error, Flows, Place};

const TCP: u8 = 6;

/// How many directions of flows were dealt with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// They are gone.
    pub removed: usize,
    /// Their next packet is answered with a reset.
    pub reset: usize,
}

impl<A: Address> Flows<A> {
    /// Removes every flow of which a direction is `wanted`, both directions of it. Returns how many directions that were.
    ///
    /// Packets go on meanwhile: what made the flow be decided as it was must be gone before.
    pub fn cut(&mut self, wanted: impl Fn(&FlowKey<A>, &Flow<A>) -> bool) -> Result<usize, Error> {
        let mut removed = 0;
        self.for_each_half(wanted, |flows, half| {
            removed += flows.take(half.place, &half.key)?.len();
            Ok(())
        })?;
        Ok(removed)
    }

    /// The same, but connections of TCP stay, for their ends to be told with their next packet.
    pub fn reset(&mut self, wanted: impl Fn(&FlowKey<A>, &Flow<A>) -> bool) -> Result<Cut, Error> {
        let mut cut = Cut::default();
        self.for_each_half(wanted, |flows, half| {
            if half.key.protocol == TCP {
                // Routes are not to be asked again, nor is an answer to change anything. A count may be lost.
                let flags = half.flow.flags & !(Flow::<A>::ROUTED | Flow::<A>::AWAITS_REPLY);
                let flow = Flow { via: Via::Reset as u8, flags, ..half.flow };
                cut.reset += usize::from(flows.replace(half.place, &half.key, &flow)?);
            } else {
                cut.removed += flows.take(half.place, &half.key)?.len();
            }
            Ok(())
        })?;
        Ok(cut)
    }

    /// Flows move over from one table to the other: the one they leave is dealt with before the other is read.
    fn for_each_half(
        &mut self,
        wanted: impl Fn(&FlowKey<A>, &Flow<A>) -> bool,
        mut act: impl FnMut(&mut Self, &Half<A>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for place in [Place::New, Place::Main] {
            let entries = self.entries_of(place)?.into_iter();
            for (key, flow) in entries.filter(|(key, flow)| wanted(key, flow)) {
                let half = Half { place, key, flow };
                let other = Half::answering(self, &half)?;
                act(self, &half)?;
                // Where it is wanted itself it has its turn.
                if let Some(other) = other.filter(|other| !wanted(&other.key, &other.flow)) {
                    act(self, &other)?;
                }
            }
        }
        Ok(())
    }
}
