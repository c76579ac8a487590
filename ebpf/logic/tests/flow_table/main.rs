//! Random packets against a model of the flow table.

#![expect(clippy::unwrap_used, reason = "helpers of tests are allowed what tests are")]

mod model;
mod table;

use caracal_logic::tracking::{Timeout, Timeouts};
use model::{Event, Model, Packet, Protocol, Word, events, limit};
use proptest::prelude::{ProptestConfig, proptest};
use table::Table;

fn timeouts() -> Timeouts {
    Timeouts::default().map(|timeout, _| limit(u32::try_from(timeout as usize).unwrap()))
}

fn by_name(timeouts: &Timeouts, name: &str) -> u32 {
    timeouts.get(Timeout::ALL.into_iter().find(|timeout| timeout.name() == name).unwrap())
}

/// Plays the events to both. Panics where they differ.
fn play(events: &[Event]) {
    let (mut model, mut table, timeouts) = (Model::new(1000), Table::default(), timeouts());
    for (number, event) in events.iter().enumerate() {
        match event {
            Event::Packet(packet) => {
                model.packet(packet);
                table.packet(packet, model.now);
            }
            Event::Wait(ticks) => model.now += ticks,
            Event::Sweep => {
                let expected = model.sweep(|name| by_name(&timeouts, name));
                assert_eq!(table.sweep(&timeouts, model.now), expected, "flows swept by event {number}");
            }
        }
        let seen = model.seen();
        for ((protocol, id, side), expected) in &seen {
            let found = table.seen(&table::key(*protocol, *id, *side));
            assert_eq!(found.as_ref(), Some(expected), "{protocol:?} {id}, side {side}, after event {number}");
        }
        assert_eq!(table.len(), seen.len(), "after event {number}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 8 } else { 4000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn packets_of_every_order_do_to_the_table_what_the_model_says(events in events()) {
        play(&events);
    }
}

fn tcp(side: usize, word: Word) -> Event {
    Event::Packet(Packet { protocol: Protocol::Tcp, id: 0, side, word })
}

/// What the random ones are unlikely to meet in full length.
#[test]
fn a_connection_from_its_beginning_to_its_reuse() {
    let handshake = [tcp(0, Word::Open), tcp(1, Word::OpenAnswer), tcp(0, Word::Talk)];
    let end = [tcp(0, Word::Finish), tcp(1, Word::Talk), tcp(1, Word::Finish), tcp(0, Word::Talk)];
    let late = Event::Wait(limit(2) + 1);
    let life = [&handshake[..], &[tcp(1, Word::Talk), Event::Sweep], &end, &handshake, &[late, Event::Sweep]].concat();
    play(&life);
    // Asked for again by who had ended it alone.
    let crash = [&handshake[..], &end[..2], &handshake, &[tcp(1, Word::Finish), tcp(0, Word::Talk)]].concat();
    play(&crash);
    // Open for the server, which talks first, and asked for again by a client that had not confirmed anything.
    let again = [tcp(0, Word::Open), tcp(1, Word::OpenAnswer), tcp(1, Word::Talk)];
    let impatient = [&again[..], &handshake, &[Event::Wait(limit(2) + 1), Event::Sweep]].concat();
    play(&impatient);
    for wait in 0..40 {
        play(&[&again[..], &handshake, &[Event::Wait(wait), Event::Sweep]].concat());
    }
}
