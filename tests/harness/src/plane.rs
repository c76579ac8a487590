//! The real programs, loaded and pinned, with pods that exist only in the maps.

use std::net::IpAddr;

use aya::programs::{Program, SchedClassifier, TestRun, TestRunOptions};
use caracal_abi::{Counter, Endpoint, Flow, FlowKey, Hook, Mac, Reason, program};
use caracal_datapath::{Features, Loaded, Loader, Pinned, Root, counters};

/// What a program answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// To the host's stack (`TC_ACT_UNSPEC`: the next program, then the stack).
    Host,
    /// Sent on by `bpf_redirect` or `bpf_redirect_peer`.
    Redirect,
    /// Dropped.
    Drop,
}

/// One run of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its answer.
    pub action: Action,
    /// The packet as it left it.
    pub packet: Vec<u8>,
}

/// A loaded data plane.
pub struct Plane {
    root: Root,
    loaded: Loaded,
    pinned: Pinned,
}

/// A pod of the fixture.
#[derive(Clone, Copy, Debug)]
pub struct Pod {
    /// Its address.
    pub ip: IpAddr,
    /// Its MAC address.
    pub mac: [u8; 6],
    /// The MAC address of its host-side veth.
    pub gateway: [u8; 6],
    /// The index of its host-side veth.
    pub ifindex: u32,
}

impl Pod {
    /// A pod whose MAC addresses and address end in its number.
    #[must_use]
    pub fn new(ip: &str, number: u8, ifindex: u32) -> Self {
        let ip = ip.parse().expect("a fixture's address");
        Self { ip, mac: [2, 0, 0, 0, 1, number], gateway: [2, 0, 0, 0, 2, number], ifindex }
    }

    /// Its entry in the endpoints map.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        Endpoint { ifindex: self.ifindex, pod_mac: Mac(self.mac), host_mac: Mac(self.gateway), ..Endpoint::default() }
    }
}

impl Plane {
    /// Loads for this kernel, on a host that translates nothing.
    #[must_use]
    pub fn new(root: &Root) -> Self {
        Self::with(root, &Loader { host_nat: false, ..Loader::new(Features::probe()) })
    }

    /// Loads in a special way.
    #[must_use]
    pub fn with(root: &Root, how: &Loader) -> Self {
        let loaded = how.load(root).expect("the programs load");
        let pinned = Pinned::open(root).expect("the pins fit").expect("the pins are there");
        Self { root: root.clone(), loaded, pinned }
    }

    /// The interface that `BPF_PROG_TEST_RUN` says packets come from: loopback of the namespace.
    pub const IFINDEX: u32 = 1;

    /// Where it is pinned.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The pinned side of it.
    #[must_use]
    pub fn pinned(&self) -> &Pinned {
        &self.pinned
    }

    /// A program, for options that [`Plane::from_pod`] does not take.
    #[must_use]
    pub fn classifier(&self, name: &str) -> &SchedClassifier {
        match self.loaded.program(name) {
            Some(Program::SchedClassifier(classifier)) => classifier,
            other => panic!("{name} is not a loaded classifier but {other:?}"),
        }
    }

    /// Makes a pod known.
    pub fn add(&self, pod: &Pod) {
        self.pinned.set_endpoint(pod.ip, &pod.endpoint()).expect("write an endpoint");
    }

    /// Runs a packet through `from_pod` as if it came from the interface [`Plane::IFINDEX`].
    #[must_use]
    pub fn from_pod(&self, packet: &[u8]) -> Outcome {
        self.run(program::FROM_POD, packet)
    }

    /// Runs a packet through `from_net` as if it came from the interface [`Plane::IFINDEX`].
    #[must_use]
    pub fn from_net(&self, packet: &[u8]) -> Outcome {
        self.run(program::FROM_NET, packet)
    }

    fn run(&self, name: &str, packet: &[u8]) -> Outcome {
        let mut out = vec![0; packet.len() + 256];
        let options = TestRunOptions { data_in: Some(packet), data_out: Some(&mut out), ..TestRunOptions::default() };
        let result = self.classifier(name).test_run(options).expect("BPF_PROG_TEST_RUN");
        out.truncate(result.data_size_out as usize);
        let action = match i32::from_ne_bytes(result.return_value.to_ne_bytes()) {
            -1 => Action::Host,
            2 => Action::Drop,
            7 => Action::Redirect,
            other => panic!("{name} answered {other}, which is none of its answers"),
        };
        Outcome { action, packet: out }
    }

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

    /// A counter of `from_pod`.
    #[must_use]
    pub fn count(&self, reason: Reason) -> Counter {
        let counts = counters::read(&self.root).expect("read the counters");
        let count = counts.iter().find(|count| count.hook == Hook::FromPod && count.reason == reason);
        count.expect("every reason has a slot").total
    }

    /// All counters that are not zero, for a message.
    #[must_use]
    pub fn counted(&self) -> Vec<(Reason, u64)> {
        let counts = counters::read(&self.root).expect("read the counters");
        counts.iter().filter(|c| c.total.packets > 0).map(|c| (c.reason, c.total.packets)).collect()
    }
}
