//! The life of flows as the documents tell it, in plain Rust: no key, no flag and no function of the code it is compared with.
//! Connections instead of directions, a clock that stands still unless told.

use std::collections::BTreeMap;

use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any, prop_oneof},
};

/// Which protocol, as far as time-outs differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

/// What a packet says. Of UDP, nothing but that it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    Open,
    OpenAnswer,
    Talk,
    Finish,
    Abort,
}

/// A packet: of which connection, from which of its two sides.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    pub protocol: Protocol,
    pub id: u8,
    pub side: usize,
    pub word: Word,
}

/// What happens next.
#[derive(Clone, Debug)]
pub enum Event {
    Packet(Packet),
    Wait(u32),
    Sweep,
}

/// What a side has said of its connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said {
    pub has_asked: bool,
    pub is_finished: bool,
    pub has_aborted: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Side {
    packets: u64,
    last: u32,
    said: Said,
    has_confirmed: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Connection {
    is_wanted_by_both: bool,
    sides: [Side; 2],
}

/// What can be seen of one direction from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub in_main: bool,
    pub packets: u64,
    /// None for a direction without packets.
    pub last: Option<u32>,
    pub said: Said,
}

/// Every flow there is.
pub struct Model {
    connections: BTreeMap<(Protocol, u8), Connection>,
    pub now: u32,
}

impl Connection {
    fn is_over(&self) -> bool {
        self.sides.iter().any(|side| side.said.has_aborted) || self.sides.iter().all(|side| side.said.is_finished)
    }

    /// The name of the time-out that counts.
    fn timeout(&self, protocol: Protocol) -> &'static str {
        let any = |what: fn(&Side) -> bool| self.sides.iter().any(what);
        let all = |what: fn(&Side) -> bool| self.sides.iter().all(what);
        let is_answered = all(|side| side.packets > 0);
        let is_asked = any(|side| side.said.has_asked);
        let is_unconfirmed = any(|side| side.said.has_asked && !side.has_confirmed);
        let total: u64 = self.sides.iter().map(|side| side.packets).sum();
        match protocol {
            Protocol::Udp if is_answered && total > 2 => "udp-stream",
            Protocol::Udp => "udp",
            Protocol::Tcp if any(|side| side.said.has_aborted) => "tcp-close",
            Protocol::Tcp if all(|side| side.said.is_finished) => "tcp-time-wait",
            Protocol::Tcp if any(|side| side.said.is_finished) => "tcp-fin-wait",
            Protocol::Tcp if !is_answered && is_asked => "tcp-syn-sent",
            Protocol::Tcp if !is_answered => "tcp-unacknowledged",
            Protocol::Tcp if is_unconfirmed => "tcp-syn-recv",
            Protocol::Tcp => "tcp-established",
            Protocol::Sctp if any(|side| side.said.has_aborted) => "sctp-closed",
            Protocol::Sctp if any(|side| side.said.is_finished) => "sctp-shutdown",
            Protocol::Sctp if !is_answered && is_asked => "sctp-cookie-wait",
            Protocol::Sctp if !is_answered => "sctp-heartbeat-sent",
            Protocol::Sctp if is_unconfirmed => "sctp-cookie-echoed",
            Protocol::Sctp => "sctp-established",
        }
    }
}

impl Model {
    /// Empty, at this moment.
    pub fn new(now: u32) -> Self {
        Self { connections: BTreeMap::new(), now }
    }

    pub fn packet(&mut self, packet: &Packet) {
        let Packet { protocol, id, side, word } = *packet;
        let is_connection = protocol != Protocol::Udp;
        let connection = self.connections.entry((protocol, id)).or_default();
        if is_connection && word == Word::Open && connection.is_over() {
            *connection = Connection::default();
        }
        let other = connection.sides[1 - side];
        let sender = &mut connection.sides[side];
        sender.packets += 1;
        sender.last = self.now;
        if is_connection {
            match word {
                Word::Open | Word::OpenAnswer => {
                    // What had ended was another connection.
                    (sender.said.has_asked, sender.said.is_finished, sender.said.has_aborted) = (true, false, false);
                    sender.has_confirmed |= word == Word::OpenAnswer;
                }
                Word::Talk => (sender.has_confirmed, sender.said.has_aborted) = (true, false),
                Word::Finish => {
                    (sender.has_confirmed, sender.said.is_finished, sender.said.has_aborted) = (true, true, false);
                }
                Word::Abort => sender.said.has_aborted = true,
            }
        }
        let confirms = !is_connection || matches!(word, Word::Talk | Word::Finish);
        connection.is_wanted_by_both |= confirms && other.packets > 0 && !other.said.has_aborted;
    }

    /// Forgets whose time is up. Returns how many.
    pub fn sweep(&mut self, limit: impl Fn(&str) -> u32) -> usize {
        let (before, now) = (self.connections.len(), self.now);
        self.connections.retain(|(protocol, _), connection| {
            let last = connection.sides.iter().map(|side| side.last).max().unwrap_or_default();
            now - last <= limit(connection.timeout(*protocol))
        });
        before - self.connections.len()
    }

    /// What is to be seen: by protocol, connection and side.
    pub fn seen(&self) -> BTreeMap<(Protocol, u8, usize), Seen> {
        let directions = self.connections.iter().flat_map(|((protocol, id), connection)| {
            connection.sides.iter().enumerate().map(|(number, side)| {
                let seen = Seen {
                    in_main: connection.is_wanted_by_both,
                    packets: side.packets,
                    last: (side.packets > 0).then_some(side.last),
                    said: side.said,
                };
                ((*protocol, *id, number), seen)
            })
        });
        directions.collect()
    }
}

/// Random events, among them what connections really do.
pub fn events() -> impl Strategy<Value = Vec<Event>> {
    let protocol = prop_oneof![4 => Just(Protocol::Tcp), 1 => Just(Protocol::Udp), 2 => Just(Protocol::Sctp)];
    let story = prop_oneof![
        8 => word().prop_map(|word| vec![(0, word)]),
        // As it should be, half open, both at once.
        3 => Just(vec![(0, Word::Open), (1, Word::OpenAnswer), (0, Word::Talk)]),
        1 => Just(vec![(0, Word::Open), (1, Word::OpenAnswer)]),
        1 => Just(vec![(0, Word::Open), (1, Word::Open), (0, Word::OpenAnswer), (1, Word::OpenAnswer), (0, Word::Talk)]),
        // Ended by both, by one who goes on listening, in the middle; and used again.
        2 => Just(vec![(0, Word::Finish), (1, Word::Talk), (1, Word::Finish), (0, Word::Talk)]),
        1 => Just(vec![(0, Word::Finish), (1, Word::Talk), (1, Word::Talk)]),
        1 => Just(vec![(0, Word::Abort), (1, Word::Talk), (0, Word::Talk)]),
        1 => Just(vec![(0, Word::Finish), (1, Word::Finish), (0, Word::Open), (1, Word::OpenAnswer), (0, Word::Talk)]),
    ];
    let story = (protocol, 0..2_u8, any::<bool>(), story).prop_map(|(protocol, id, mirrored, story)| {
        let packet = |(side, word): (usize, Word)| {
            let side = if mirrored { 1 - side } else { side };
            Event::Packet(Packet { protocol, id, side, word })
        };
        story.into_iter().map(packet).collect()
    });
    // About as long as the time-outs are: `limits`.
    let wait = prop_oneof![3 => 1..40_u32, 1 => 1..400_u32].prop_map(|ticks| vec![Event::Wait(ticks)]);
    let event = prop_oneof![6 => story, 2 => wait, 1 => Just(vec![Event::Sweep])];
    vec(event, 1..16).prop_map(|parts| parts.concat())
}

fn word() -> impl Strategy<Value = Word> {
    prop_oneof![
        2 => Just(Word::Open),
        2 => Just(Word::OpenAnswer),
        4 => Just(Word::Talk),
        2 => Just(Word::Finish),
        1 => Just(Word::Abort),
    ]
}

/// Time-outs by their number that random events reach, each another.
pub const fn limit(number: u32) -> u32 {
    5 + 13 * number
}
