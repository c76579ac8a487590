//! Events: what the programs tell of packets, and what is left of it when they are told to be silent.

use std::{collections::BTreeMap, time::Duration};

use caracal_abi::{Event, Hook, Reason, Tail, map, program};
use caracal_datapath::{
    Error, Features, Loader,
    events::{Missed, Reader, Telling, Told},
};
use caracal_harness::{Frame, Plane, Pod, isolated, tcp};
use caracal_integration::Stage;

/// Nothing is waited for that has happened already.
const AT_ONCE: Duration = Duration::ZERO;

fn telling(told: Told) -> Telling {
    Telling { told, per_second: 1_000_000, at_once: 1_000_000, ..Telling::default() }
}

fn loader(telling: Telling) -> Loader {
    Loader { host_nat: false, telling, ..Loader::new(Features::probe()) }
}

fn each_family(told: Told, body: impl Fn(&Stage<'_>, &mut Reader) + Sync) {
    Stage::each_family_with(
        |it| Loader { telling: telling(told), ..it },
        |stage| {
            let mut reader = Reader::open(stage.plane.root()).unwrap().unwrap();
            reader.buffered().for_each(drop);
            body(stage, &mut reader);
        },
    );
}

/// What there is to be read.
fn read(reader: &mut Reader) -> Vec<Event> {
    reader.buffered().map(Result::unwrap).collect()
}

fn reasons(events: &[Event]) -> Vec<Reason> {
    events.iter().map(|event| event.reason().unwrap()).collect()
}

#[test]
fn a_first_packet_is_told_once_and_those_after_it_never() {
    each_family(Told::All, |Stage { plane, a, b, .. }, reader| {
        let packet = Frame::new(a, b.ip).syn(4000, 80);
        let from_a = caracal_harness::Context { ifindex: a.ifindex, ..Default::default() };
        let _ = plane.run(program::FROM_POD, &packet, &from_a);
        let events = read(reader);
        let [event] = events[..] else { panic!("{events:?}") };
        assert_eq!((event.reason(), event.hook()), (Some(Reason::NewFlow), Some(Hook::FromPod)));
        assert_eq!((event.ifindex, event.bytes as usize, event.rule), (a.ifindex, packet.len(), 0));
        let tuple = event.tuple().unwrap();
        assert_eq!((tuple.src, tuple.dst, tuple.protocol), (a.ip, b.ip, 6));
        assert_eq!((tuple.sport.get(), tuple.dport.get(), event.control), (4000, 80, tcp::SYN));
        assert_eq!(event.translated(), None);
        for _ in 0..3 {
            let _ = plane.run(program::FROM_POD, &Frame::new(a, b.ip).tcp(4000, 80, tcp::ACK, b"more"), &from_a);
        }
        assert_eq!(read(reader), []);
    });
}

#[test]
fn translated_packets_are_told_with_both_tuples() {
    Stage::each_family_with(
        |it| Loader { telling: telling(Told::First), masquerade: Some(20_000..=29_999), ..it },
        |Stage { plane, a, outside, node, .. }| {
            let mut reader = Reader::open(plane.root()).unwrap().unwrap();
            read(&mut reader);
            let from_a = caracal_harness::Context { ifindex: a.ifindex, ..Default::default() };
            let _ = plane.run(program::FROM_POD, &Frame::new(a, outside.ip).syn(25_000, 443), &from_a);
            let events = read(&mut reader);
            assert_eq!(reasons(&events), [Reason::NewFlow]);
            let (tuple, translated) = (events[0].tuple().unwrap(), events[0].translated().unwrap());
            assert_eq!((tuple.src, tuple.dst), (a.ip, outside.ip));
            assert_eq!((translated.src, translated.dst), (*node, outside.ip));
            assert_eq!((translated.sport.get(), translated.dport.get()), (25_000, 443));
        },
    );
}

#[test]
fn what_cannot_be_read_is_told_without_a_tuple() {
    each_family(Told::Drops, |Stage { plane, a, b, .. }, reader| {
        let from_a = caracal_harness::Context { ifindex: a.ifindex, ..Default::default() };
        let mut versionless = Frame::new(a, b.ip).udp(4000, 53, b"");
        versionless[14] = 0;
        let _ = plane.run(program::FROM_POD, &versionless, &from_a);
        let mut unknown = Frame::new(a, b.ip).udp(4000, 53, b"");
        unknown[12..14].copy_from_slice(&[0x88, 0xcc]);
        let _ = plane.run(program::FROM_POD, &unknown, &from_a);
        let spoofed = Frame::new(a, b.ip).source(b.ip).udp(4000, 53, b"");
        let _ = plane.run(program::FROM_POD, &spoofed, &from_a);
        // No drop, so it is not told.
        let _ = plane.run(program::FROM_POD, &Frame::new(a, b.ip).udp(4000, 53, b""), &from_a);
        let events = read(reader);
        assert_eq!(reasons(&events), [Reason::Malformed, Reason::UnknownEtherType, Reason::SpoofedAddress]);
        assert_eq!(events[..2].iter().map(Event::tuple).collect::<Vec<_>>(), [None, None]);
        assert_eq!(events[2].tuple().unwrap().src, b.ip);
        assert!(events.is_sorted_by_key(|event| event.time_ns) && events[0].time_ns > 0);
    });
}

/// A plane with two pods of which one sends so many packets under a false address, numbered by their ports.
fn flood(plane: &Plane, ports: std::ops::Range<u16>) {
    let [a, b] = [Pod::new("10.0.0.1", 1, Plane::IFINDEX), Pod::new("10.0.0.2", 2, 7)];
    plane.add(&a);
    plane.add(&b);
    for port in ports {
        let _ = plane.from_pod(&Frame::new(&a, b.ip).source(b.ip).udp(port, 53, b""));
    }
}

fn ports(events: &[Event]) -> Vec<u16> {
    events.iter().map(|event| event.sport.get()).collect()
}

#[test]
fn a_full_buffer_keeps_the_oldest_counts_the_others_and_goes_on_when_it_was_read() {
    isolated(|root| {
        let plane = Plane::with(root, &loader(Telling { buffer_bytes: 4096, ..telling(Told::Drops) }));
        let mut reader = Reader::open(plane.root()).unwrap().unwrap();
        // An event is 104 bytes behind a header of 8.
        let room = 4096 / 112;
        // The buffer's end is passed at another place each time.
        for begin in (0_u16..2000).step_by(100) {
            flood(&plane, begin..begin + 100);
            let events = read(&mut reader);
            assert_eq!(ports(&events), (begin..begin + room).collect::<Vec<_>>());
            let lost = u64::from(100 - room);
            assert_eq!(reader.missed().unwrap(), Missed { suppressed: 0, lost });
            assert_eq!(reader.missed().unwrap(), Missed::default());
            flood(&plane, begin..begin + 5);
            assert_eq!(ports(&read(&mut reader)), (begin..begin + 5).collect::<Vec<_>>());
        }
        assert_eq!(plane.count(Reason::SpoofedAddress).packets, 20 * 105, "counters miss nothing");
    });
}

#[test]
fn no_more_are_told_than_is_asked_for_and_the_others_are_counted() {
    isolated(|root| {
        let plane = Plane::with(root, &loader(Telling { per_second: 1, at_once: 10, ..telling(Told::Drops) }));
        let mut reader = Reader::open(plane.root()).unwrap().unwrap();
        flood(&plane, 0..1000);
        let told = read(&mut reader).len() as u64;
        let Missed { suppressed, lost } = reader.missed().unwrap();
        assert_eq!((told + suppressed, lost), (1000, 0));
        assert!(told >= 10 && suppressed > 0, "{told} told, {suppressed} not");
    });
}

#[test]
fn of_first_packets_one_of_many_is_told_and_of_drops_each() {
    isolated(|root| {
        let plane = Plane::with(root, &loader(Telling { one_in: 10, ..telling(Told::All) }));
        let mut reader = Reader::open(plane.root()).unwrap().unwrap();
        flood(&plane, 0..500);
        assert_eq!(read(&mut reader).len(), 500);
        let [a, b] = [Pod::new("10.0.0.1", 1, Plane::IFINDEX), Pod::new("10.0.0.2", 2, 7)];
        for port in 0..2000 {
            let _ = plane.from_pod(&Frame::new(&a, b.ip).udp(port, 53, b""));
        }
        let told = read(&mut reader).len();
        // Two hundred are expected; a tenth and three tenths are too far away for chance.
        assert!((20..600).contains(&told), "{told}");
        assert_eq!(reader.missed().unwrap(), Missed::default(), "what was not chosen is not missed");
    });
}

#[test]
fn a_late_reader_finds_what_was_told_before_it_came() {
    isolated(|root| {
        let plane = Plane::with(root, &loader(telling(Told::Drops)));
        flood(&plane, 0..10);
        let mut reader = Reader::open(plane.root()).unwrap().unwrap();
        assert_eq!(ports(&read(&mut reader)), (0..10).collect::<Vec<_>>());
        assert!(matches!(reader.next(Duration::from_millis(20)), Ok(None)));
        // And what comes while it waits.
        let waiting = std::thread::spawn(move || reader.next(Duration::from_secs(30)));
        flood(&plane, 10..11);
        assert_eq!(waiting.join().unwrap().unwrap().map(|event| event.sport.get()), Some(10));
        // The next one goes on where that one ended.
        flood(&plane, 11..12);
        let mut reader = Reader::open(plane.root()).unwrap().unwrap();
        assert_eq!(reader.next(AT_ONCE).unwrap().map(|event| event.sport.get()), Some(11));
    });
}

#[test]
fn there_is_one_reader_at_a_time() {
    isolated(|root| {
        let plane = Plane::with(root, &loader(telling(Told::Drops)));
        let reader = Reader::open(plane.root()).unwrap().unwrap();
        let second = Reader::open(plane.root()).err();
        assert!(matches!(second, Some(Error::EventsTaken { .. })), "{second:?}");
        drop(reader);
        assert!(Reader::open(plane.root()).unwrap().is_some());
    });
}

#[test]
fn events_are_switched_by_loading_anew() {
    isolated(|root| {
        let load = |telling| Plane::with(root, &loader(telling));
        let is_told = |plane: &Plane| {
            flood(plane, 0..1);
            Reader::open(root).unwrap().map(|mut reader| read(&mut reader).len())
        };
        assert_eq!(is_told(&load(Telling::default())), None);
        assert_eq!(is_told(&load(telling(Told::Drops))), Some(1));
        let mut reader = Reader::open(root).unwrap().unwrap();
        // The same buffer goes on, whatever is told by it.
        let plane = load(telling(Told::All));
        flood(&plane, 0..1);
        assert!(reader.is_current() && read(&mut reader).len() == 1);
        // Of another size it is another one.
        let plane = load(Telling { buffer_bytes: 8192, ..telling(Told::All) });
        flood(&plane, 0..1);
        assert!(!reader.is_current() && read(&mut reader).is_empty());
        drop(reader);
        assert_eq!(is_told(&plane), Some(2));
        assert_eq!(is_told(&load(Telling::default())), None);
        assert!(map::OF_EVENTS.iter().all(|name| !root.map(name).exists()));
    });
}

/// Instructions of every program, and whether one of them is the call that makes room for an event.
fn instructions(telling: Telling) -> BTreeMap<&'static str, (usize, bool)> {
    isolated(|root| {
        let loaded = loader(telling).load(root).unwrap();
        let programs = program::TC.into_iter().chain(Tail::ALL.iter().map(|tail| tail.name()));
        let listed = programs.map(|name| (name, listing(loaded.program(name).unwrap().info().unwrap().id())));
        listed.map(|(name, text)| (name, (text.lines().count(), text.contains("bpf_ringbuf_reserve")))).collect()
    })
}

#[expect(clippy::disallowed_methods, reason = "a test may ask bpftool")]
fn listing(id: u32) -> String {
    let output = std::process::Command::new("bpftool").args(["prog", "dump", "xlated", "id", &id.to_string()]).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Between the instructions stand lines of source and names of functions.
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|line| line.contains(": (")).map(|line| line.to_owned() + "\n").collect()
}

#[test]
fn events_that_are_off_leave_nothing_in_the_programs() {
    let (off, on) = (instructions(Telling::default()), instructions(telling(Told::All)));
    for (name, (count, tells)) in &off {
        let (count_on, tells_on) = on[name];
        println!("{name}: {count} instructions, {count_on} with events");
        assert!(!tells, "{name}");
        // Not every program counts.
        assert_eq!(tells_on, count_on > *count, "{name}");
    }
    assert!(program::TC.iter().all(|name| on[name].1));
}
