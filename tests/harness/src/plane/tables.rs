//! What the maps hold.

use std::{net::IpAddr, time::Duration};

use caracal_abi::{Counter, Flow, FlowKey, Hook, Reason};
use caracal_datapath::{Clock, counters};

use super::Plane;

impl Plane {
    /// Every flow, of both families.
    #[must_use]
    pub fn flows(&self) -> Vec<(FlowKey<IpAddr>, Flow<IpAddr>)> {
        fn both<A: Copy + Into<IpAddr>>((key, flow): (FlowKey<A>, Flow<A>)) -> (FlowKey<IpAddr>, Flow<IpAddr>) {
            let FlowKey { src, dst, sport, dport, protocol, .. } = key;
            (FlowKey::new(src.into(), dst.into(), sport, dport, protocol), flow.map(Into::into))
        }
        let v4 = self.pinned.flows4().and_then(|table| table.entries()).expect("read the flows").into_iter().map(both);
        let v6 = self.pinned.flows6().and_then(|table| table.entries()).expect("read the flows").into_iter().map(both);
        v4.chain(v6).collect()
    }

    /// The flow of one key.
    #[must_use]
    pub fn flow(&self, key: &FlowKey<IpAddr>) -> Option<Flow<IpAddr>> {
        self.flows().into_iter().find(|(found, _)| found == key).map(|(_, flow)| flow)
    }

    /// Waits until what was stamped until now is of an earlier tick.
    pub fn wait_for_a_tick(&self) {
        let clock = Clock::open().expect("a clock");
        let begin = clock.now().expect("the clock");
        while clock.now().expect("the clock") == begin {
            #[expect(clippy::disallowed_methods, reason = "there is nothing to be told by")]
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A counter of `from_pod`.
    #[must_use]
    pub fn count(&self, reason: Reason) -> Counter {
        self.count_at(Hook::FromPod, reason)
    }

    /// A counter of any hook.
    #[must_use]
    pub fn count_at(&self, hook: Hook, reason: Reason) -> Counter {
        let counts = counters::read(&self.root).expect("read the counters");
        let count = counts.iter().find(|count| count.hook == hook && count.reason == reason);
        count.expect("every reason has a slot").total
    }

    /// All counters that are not zero, for a message.
    #[must_use]
    pub fn counted(&self) -> Vec<(Reason, u64)> {
        let counts = counters::read(&self.root).expect("read the counters");
        counts.iter().filter(|c| c.total.packets > 0).map(|c| (c.reason, c.total.packets)).collect()
    }
}
