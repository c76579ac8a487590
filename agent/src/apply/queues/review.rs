//! Flows that were decided when the flags of their pods were others. Pure.
//!
//! A flow is changed in place wherever that is possible: its next packet takes the new way, and a connection that is
//! under way notices nothing. What went by the host is forgotten instead, because only its next packets show whether the
//! host translates it.

use std::collections::BTreeMap;

use caracal_datapath::{
    Revision,
    abi::{Endpoint, Flow, Via},
};

const TCP: u8 = 6;

/// What has become of a pod's flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Review {
    pub(super) before: u32,
    pub(super) flags: u32,
    /// Connections begun before the change are no longer half known to the host's connection tracking. As long as they
    /// are, it calls their later packets invalid, which kube-proxy has it drop.
    pub(super) host_takes_all: bool,
}

impl Review {
    fn has(self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    fn has_lost(self, flag: u32) -> bool {
        self.before & flag != 0 && !self.has(flag)
    }
}

/// What is to be done with a flow, `pods` being those under review by number of their link.
pub(super) fn revision<A: Copy>(protocol: u8, flow: &Flow<A>, pods: &BTreeMap<u32, Review>) -> Revision<Flow<A>> {
    let (sender, receiver) = (pods.get(&flow.in_ifindex), pods.get(&flow.out_ifindex));
    let Some(via) = flow.via() else { return Revision::Keep };
    let better = match via {
        Via::Host => {
            // Its reply is judged by the flags of today.
            let awaits_reply = flow.has(Flow::<A>::AWAITS_REPLY);
            let is_free = [sender, receiver].into_iter().flatten().any(|pod| pod.has_lost(Endpoint::BY_HOST));
            return if is_free && !awaits_reply { Revision::Remove } else { Revision::Keep };
        }
        Via::Peer | Via::Egress => way(protocol, flow, via, sender, receiver),
        Via::Neighbour | Via::Discard | Via::Reset => via,
    };
    if better == via { Revision::Keep } else { Revision::Replace(Flow { via: better as u8, ..*flow }) }
}

/// The way of a flow that leads to a pod past the host's stack.
fn way<A>(protocol: u8, flow: &Flow<A>, via: Via, sender: Option<&Review>, receiver: Option<&Review>) -> Via {
    // What the programs translate, nobody else can.
    let is_translated = flow.flags & Flow::<A>::TRANSLATED != 0;
    // The host follows a connection by what both sides send.
    let by_host = [sender, receiver].into_iter().flatten().find(|pod| pod.has(Endpoint::BY_HOST));
    if by_host.is_some_and(|pod| protocol != TCP || pod.host_takes_all) && !is_translated {
        return Via::Host;
    }
    match receiver {
        Some(pod) if pod.has(Endpoint::QUEUED) => Via::Egress,
        // A kernel without `bpf_redirect_peer` does the same for both.
        Some(pod) if pod.has_lost(Endpoint::QUEUED) => Via::Peer,
        _ => via,
    }
}

#[cfg(test)]
mod tests {
    use caracal_datapath::abi::Ip4;

    use super::*;

    const UDP: u8 = 17;
    const POD: u32 = 7;
    const OTHER: u32 = 8;
    const BOTH: u32 = Endpoint::QUEUED | Endpoint::BY_HOST;

    fn flow(from: u32, to: u32, via: Via) -> Flow<Ip4> {
        Flow { in_ifindex: from, out_ifindex: to, via: via as u8, packets: 5, ..Flow::default() }
    }

    fn pod(before: u32, flags: u32) -> BTreeMap<u32, Review> {
        [(POD, Review { before, flags, host_takes_all: true })].into()
    }

    fn via(protocol: u8, flow: Flow<Ip4>, pods: &BTreeMap<u32, Review>) -> Option<Via> {
        match revision(protocol, &flow, pods) {
            Revision::Keep => flow.via(),
            Revision::Replace(better) => {
                assert_eq!(better, Flow { via: better.via, ..flow }, "nothing else changes");
                better.via()
            }
            Revision::Remove => None,
        }
    }

    #[test]
    fn what_a_pod_receives_goes_through_its_queue_as_long_as_there_is_one() {
        for protocol in [TCP, UDP] {
            assert_eq!(via(protocol, flow(OTHER, POD, Via::Peer), &pod(0, Endpoint::QUEUED)), Some(Via::Egress));
            assert_eq!(via(protocol, flow(OTHER, POD, Via::Egress), &pod(BOTH, 0)), Some(Via::Peer));
            assert_eq!(via(protocol, flow(POD, OTHER, Via::Peer), &pod(0, Endpoint::QUEUED)), Some(Via::Peer));
            assert_eq!(via(protocol, flow(POD, OTHER, Via::Egress), &pod(BOTH, 0)), Some(Via::Egress));
        }
    }

    #[test]
    fn flows_of_others_are_left_alone() {
        for way in [Via::Peer, Via::Egress, Via::Host, Via::Neighbour] {
            assert_eq!(via(UDP, flow(OTHER, 9, way), &pod(0, BOTH)), Some(way));
            assert_eq!(via(UDP, flow(OTHER, 9, way), &pod(BOTH, 0)), Some(way));
        }
        assert_eq!(via(UDP, flow(POD, 2, Via::Neighbour), &pod(0, BOTH)), Some(Via::Neighbour));
        let unknown = Flow { via: 99, ..flow(POD, POD, Via::Peer) };
        assert_eq!(revision(UDP, &unknown, &pod(0, BOTH)), Revision::Keep);
    }

    #[test]
    fn what_a_pod_sends_goes_by_the_host_when_others_begin_to_filter_and_so_do_the_answers() {
        for (way, protocol) in [(Via::Peer, UDP), (Via::Peer, TCP), (Via::Egress, UDP), (Via::Egress, TCP)] {
            assert_eq!(via(protocol, flow(POD, OTHER, way), &pod(0, Endpoint::BY_HOST)), Some(Via::Host));
            assert_eq!(via(protocol, flow(OTHER, POD, way), &pod(0, Endpoint::BY_HOST)), Some(Via::Host));
        }
    }

    #[test]
    fn a_connection_stays_direct_until_the_host_would_not_call_it_invalid() {
        let young = [(POD, Review { before: 0, flags: BOTH, host_takes_all: false })].into();
        assert_eq!(via(TCP, flow(POD, OTHER, Via::Peer), &young), Some(Via::Peer));
        assert_eq!(via(UDP, flow(POD, OTHER, Via::Peer), &young), Some(Via::Host));
        assert_eq!(via(TCP, flow(OTHER, POD, Via::Peer), &young), Some(Via::Egress));
    }

    #[test]
    fn what_our_programs_translate_never_goes_by_the_host() {
        let translated = Flow { flags: Flow::<Ip4>::TRANSLATED, ..flow(POD, POD, Via::Peer) };
        assert_eq!(via(UDP, translated, &pod(0, Endpoint::BY_HOST)), Some(Via::Peer));
        assert_eq!(via(UDP, translated, &pod(0, BOTH)), Some(Via::Egress));
    }

    #[test]
    fn what_went_by_the_host_is_judged_anew_in_both_directions_when_nobody_filters_any_more() {
        assert_eq!(via(UDP, flow(POD, OTHER, Via::Host), &pod(BOTH, 0)), None);
        assert_eq!(via(UDP, flow(OTHER, POD, Via::Host), &pod(BOTH, Endpoint::QUEUED)), None);
        assert_eq!(via(UDP, flow(POD, OTHER, Via::Host), &pod(Endpoint::QUEUED, 0)), Some(Via::Host));
        let asked = Flow { flags: Flow::<Ip4>::AWAITS_REPLY, ..flow(POD, OTHER, Via::Host) };
        assert_eq!(via(UDP, asked, &pod(BOTH, 0)), Some(Via::Host), "the reply decides");
    }
}
