//! The flow table as the programs keep it, with maps of the standard library: what they do with a packet is written down once
//! more, what they ask about it is the same code.

use std::collections::HashMap;

use caracal_abi::{Be16, Flow, FlowKey, Ip4, Via};
use caracal_logic::{
    control::{ACK, FIN, RST, SYN},
    tracking::{self, State, Timeout, Timeouts},
};

use crate::model::{Packet, Protocol, Said, Seen, Word};

type Key = FlowKey<Ip4>;

/// Both maps.
#[derive(Default)]
pub struct Table {
    main: HashMap<Key, Flow<Ip4>>,
    new: HashMap<Key, Flow<Ip4>>,
}

/// The key of a packet from a side of a connection.
pub fn key(protocol: Protocol, id: u8, side: usize) -> Key {
    let ends = [("10.0.0.1", 4000), ("10.0.0.2", 80)].map(|(addr, port): (&str, u16)| {
        (addr.parse::<std::net::Ipv4Addr>().unwrap().into(), Be16::new(port + u16::from(id)))
    });
    let number = match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    };
    let [(src, sport), (dst, dport)] = [ends[side], ends[1 - side]];
    FlowKey::new(src, dst, sport, dport, number)
}

/// What the packet has in the place of TCP's flags.
pub fn control(packet: &Packet) -> u8 {
    match (packet.protocol, packet.word) {
        (Protocol::Udp, _) => 0,
        (_, Word::Open) => SYN,
        (_, Word::OpenAnswer) => SYN | ACK,
        (_, Word::Talk) => ACK,
        (_, Word::Finish) => FIN | ACK,
        (_, Word::Abort) => RST,
    }
}

impl Table {
    fn find(&self, key: &Key) -> Option<Flow<Ip4>> {
        self.main.get(key).or_else(|| self.new.get(key)).copied()
    }

    pub fn packet(&mut self, packet: &Packet, now: u32) {
        let (key, control) = (key(packet.protocol, packet.id, packet.side), control(packet));
        // The fast path.
        if let Some(flow) = self.main.get_mut(&key)
            && control & SYN == 0
        {
            if tracking::matters(flow.seen, control) {
                flow.seen = tracking::seen_after(flow.seen, control);
            }
            (flow.packets, flow.last_seen) = (flow.packets + 1, now);
            return;
        }
        let (Some(mut flow), Some(other)) = (self.find(&key), self.find(&key.reverse())) else {
            return self.begin(&key, control, now);
        };
        if tracking::reuses(control, State::of(&flow, &other)) {
            self.forget(&key);
            return self.begin(&key, control, now);
        }
        flow.seen = tracking::seen_after(flow.seen, control);
        (flow.packets, flow.last_seen) = (flow.packets + 1, now);
        let is_new = !self.main.contains_key(&key);
        if is_new && tracking::confirms(control, &other) {
            self.forget(&key);
            self.main.extend([(key, flow), (key.reverse(), other)]);
        } else if is_new {
            self.new.insert(key, flow);
        } else {
            self.main.insert(key, flow);
        }
    }

    fn begin(&mut self, key: &Key, seen: u8, now: u32) {
        let back = Flow { via: Via::Peer as u8, ..Flow::default() };
        self.new.insert(key.reverse(), back);
        self.new.insert(*key, Flow { seen, packets: 1, last_seen: now, ..back });
    }

    fn forget(&mut self, key: &Key) {
        for key in [*key, key.reverse()] {
            self.main.remove(&key);
            self.new.remove(&key);
        }
    }

    /// As the sweeper does: only for those that show that they may be over the other direction is looked for.
    pub fn sweep(&mut self, timeouts: &Timeouts, now: u32) -> usize {
        let all: Vec<(Key, Flow<Ip4>)> = self.new.iter().chain(&self.main).map(|(key, flow)| (*key, *flow)).collect();
        let mut removed = 0;
        for (key, _) in all.iter().filter(|(key, flow)| timeouts.may_be_over(key.protocol, flow, now - flow.last_seen))
        {
            let (Some(one), Some(other)) = (self.find(key), self.find(&key.reverse())) else { continue };
            let idle = now - one.last_seen.max(other.last_seen);
            if idle > timeouts.get(Timeout::of(key.protocol, &one, &other)) {
                self.forget(key);
                removed += 1;
            }
        }
        removed
    }

    /// What is to be seen of a direction.
    pub fn seen(&self, key: &Key) -> Option<Seen> {
        let flow = self.find(key)?;
        Some(Seen {
            in_main: self.main.contains_key(key),
            packets: flow.packets,
            last: (flow.packets > 0).then_some(flow.last_seen),
            said: Said {
                has_asked: flow.seen & SYN != 0,
                is_finished: flow.seen & FIN != 0,
                has_aborted: flow.seen & RST != 0,
            },
        })
    }

    pub fn len(&self) -> usize {
        self.main.len() + self.new.len()
    }
}
