//! Random packets through the real programs, sweeps by the real sweeper, and after each what the maps hold, against the model
//! of the flow table (`ebpf/logic/tests/flow_table/model.rs`).
//!
//! Time passes only in the model: after each packet its stamp is made the model's.

use std::{collections::BTreeMap, net::IpAddr};

use caracal_abi::{Address, Be16, Flow, FlowKey};
use caracal_datapath::{
    Error, Features, Flows, Loader, Pinned, Place,
    conntrack::{Sweeper, Timeout, Timeouts},
};
use caracal_harness::{Action, Frame, Plane, Pod, isolated};
use model::{Event, Model, Packet, Protocol, Said, Seen, Word, events, limit};
use proptest::test_runner::{Config, TestRunner};

#[path = "../../../../ebpf/logic/tests/flow_table/model.rs"]
mod model;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;
/// Of the model. No packet is stamped so by itself.
const BEGINNING: u32 = 1000;
const TICK: std::time::Duration = std::time::Duration::from_secs(1);

/// Both pods sit behind the one interface that TEST_RUN knows, so that both sides can send.
struct World<'a, A> {
    plane: &'a Plane,
    pods: [Pod; 2],
    flows: Flows<A>,
    sweeper: Sweeper<A>,
    timeouts: Timeouts,
}

impl<A: Address + Into<IpAddr>> World<'_, A> {
    fn play(&mut self, events: &[Event]) {
        let mut model = Model::new(BEGINNING);
        for (number, event) in events.iter().enumerate() {
            match event {
                Event::Packet(packet) => {
                    model.packet(packet);
                    self.send(packet, model.now);
                }
                Event::Wait(ticks) => model.now += ticks,
                Event::Sweep => {
                    let expected = model.sweep(|name| self.limit(name));
                    assert_eq!(self.sweep(model.now), expected, "flows swept by event {number}: {events:?}");
                }
            }
            assert_eq!(self.seen(), model.seen(), "after event {number}: {events:?}");
        }
    }

    fn limit(&self, name: &str) -> u32 {
        self.timeouts.get(Timeout::ALL.into_iter().find(|timeout| timeout.name() == name).unwrap())
    }

    fn send(&mut self, packet: &Packet, now: u32) {
        let outcome = self.plane.from_pod(&self.frame(packet));
        assert_eq!(outcome.action, Action::Redirect, "{packet:?}: {:?}", self.plane.counted());
        let of_packet = (packet.protocol, packet.id, packet.side);
        for place in [Place::Main, Place::New] {
            for (key, flow) in self.flows.entries_of(place).unwrap() {
                if self.direction(&key) == of_packet {
                    self.flows.set(place, &key, &Flow { last_seen: now, ..flow }).unwrap();
                }
            }
        }
    }

    fn frame(&self, packet: &Packet) -> Vec<u8> {
        let [from, to] = [self.pods[packet.side], self.pods[1 - packet.side]];
        let ports = [4000, 80].map(|port| port + u16::from(packet.id));
        let [sport, dport] = [ports[packet.side], ports[1 - packet.side]];
        let frame = Frame::new(&from, to.ip);
        match packet.protocol {
            Protocol::Udp => frame.udp(sport, dport, b"word"),
            Protocol::Sctp => frame.sctp(sport, dport, &[chunk(packet.word), 0, 0, 4]),
            Protocol::Tcp => {
                // The programs leave checksums alone that they do not change.
                let (mut segment, l3_len) = (frame.ack(sport, dport), if from.ip.is_ipv4() { 20 } else { 40 });
                segment[14 + l3_len + 13] = flags(packet.word);
                segment
            }
        }
    }

    fn sweep(&mut self, now: u32) -> usize {
        for _ in 0..1000 {
            if let Some(swept) = self.sweeper.slice(now, 16).unwrap() {
                assert_eq!((swept.alone, swept.put_back), (0, 0), "{swept:?}");
                return swept.expired;
            }
        }
        panic!("the sweep does not end")
    }

    fn direction(&self, key: &FlowKey<A>) -> (Protocol, u8, usize) {
        let protocol = match key.protocol {
            6 => Protocol::Tcp,
            17 => Protocol::Udp,
            _ => Protocol::Sctp,
        };
        let side = usize::from(self.pods[1].ip == key.src.into());
        let port = |port: Be16| u8::try_from(port.get() % 40).unwrap();
        (protocol, port(if side == 0 { key.sport } else { key.dport }), side)
    }

    /// Panics where a key is in both maps.
    fn seen(&self) -> BTreeMap<(Protocol, u8, usize), Seen> {
        let mut all = BTreeMap::new();
        for (place, (key, flow)) in self.flows.placed().unwrap() {
            let seen = Seen {
                in_main: place == Place::Main,
                packets: flow.packets,
                last: (flow.packets > 0).then_some(flow.last_seen),
                said: Said {
                    has_asked: flow.seen & SYN != 0,
                    is_finished: flow.seen & FIN != 0,
                    has_aborted: flow.seen & RST != 0,
                },
            };
            let twice = all.insert(self.direction(&key), seen);
            assert_eq!(twice, None, "in both tables: {:?}", self.direction(&key));
        }
        all
    }
}

fn flags(word: Word) -> u8 {
    match word {
        Word::Open => SYN,
        Word::OpenAnswer => SYN | ACK,
        Word::Talk => ACK,
        Word::Finish => FIN | ACK,
        Word::Abort => RST,
    }
}

/// The number of a chunk that says so in SCTP.
fn chunk(word: Word) -> u8 {
    match word {
        Word::Open => 1,
        Word::OpenAnswer => 2,
        Word::Talk => 0,
        Word::Finish => 7,
        Word::Abort => 6,
    }
}

fn compare<A: Address + Into<IpAddr>>(
    addresses: [&str; 2],
    open: impl Fn(&Pinned) -> Result<Flows<A>, Error> + Send + Sync,
) {
    const SEQUENCES: u32 = 1500;

    isolated(|root| {
        let features = Features::probe();
        let (flow_entries, new_flow_entries) = (Some(1024), Some(1024));
        let plane =
            Plane::with(root, &Loader { host_nat: false, flow_entries, new_flow_entries, ..Loader::new(features) });
        let pods = [(addresses[0], 1), (addresses[1], 2)].map(|(ip, number)| Pod::new(ip, number, Plane::IFINDEX));
        for pod in &pods {
            plane.add(pod);
        }
        let timeouts = Timeouts::default().map(|timeout, _| limit(u32::try_from(timeout as usize).unwrap()));
        let config = Config { cases: SEQUENCES, failure_persistence: None, ..Config::default() };
        let played = TestRunner::new(config).run(&events(), |events| {
            let mut flows = open(plane.pinned()).unwrap();
            flows.cut(|_, _| true).unwrap();
            let sweeper = Sweeper::new(open(plane.pinned()).unwrap(), timeouts, TICK);
            World { plane: &plane, pods, flows, sweeper, timeouts }.play(&events);
            Ok(())
        });
        if let Err(failure) = played {
            panic!("{failure}");
        }
    });
}

#[test]
fn the_programs_do_what_the_model_says_ipv4() {
    compare(["10.0.0.1", "10.0.0.2"], Pinned::flows4);
}

#[test]
fn the_programs_do_what_the_model_says_ipv6() {
    compare(["fd00::1", "fd00::2"], Pinned::flows6);
}
