//! The end of flows against the kernel's maps: swept, cut, reset.

use std::{collections::BTreeSet, net::Ipv4Addr, time::Duration};

use caracal_abi::{Be16, Flow, FlowKey, Ip4, Translation, Via};
use caracal_datapath::{
    Features, Flows, Loader, Place, Root,
    conntrack::{Given, Sweep, Sweeper, Timeout, Timeouts},
};
use caracal_harness::{Plane, isolated};

mod cut;
mod races;

const TCP: u8 = 6;
const UDP: u8 = 17;
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;
const NOW: u32 = 1_000_000;
/// So that a tick is a second.
const SECOND: Duration = Duration::from_secs(1);

fn flows(root: &Root, main: u32, new: u32) -> Flows<Ip4> {
    let loader = Loader { flow_entries: Some(main), new_flow_entries: Some(new), ..Loader::new(Features::probe()) };
    Plane::with(root, &loader).pinned().flows4().unwrap()
}

fn again(root: &Root) -> Flows<Ip4> {
    caracal_datapath::Pinned::open(root).unwrap().unwrap().flows4().unwrap()
}

fn ip(n: u32) -> Ip4 {
    Ipv4Addr::from_bits(0x0a00_0000 + n).into()
}

fn key(n: u32, protocol: u8) -> FlowKey<Ip4> {
    FlowKey::new(ip(n), ip(n + 1_000_000), Be16::new(4000), Be16::new(80), protocol)
}

fn half(seen: u8, packets: u64, idle: u32) -> Flow<Ip4> {
    Flow {
        via: Via::Peer as u8,
        in_ifindex: 1,
        out_ifindex: 2,
        seen,
        packets,
        last_seen: NOW - idle,
        ..Flow::default()
    }
}

fn untouched() -> Flow<Ip4> {
    Flow { last_seen: 0, ..half(0, 0, 0) }
}

/// A flow whose question gets another destination, and what awaits its answers.
fn translated(key: &FlowKey<Ip4>, flow: Flow<Ip4>) -> [Flow<Ip4>; 2] {
    let question = FlowKey::new(key.src, ip(5_000_000), key.sport, key.dport, key.protocol);
    let back = Translation::new(&question.reverse(), &key.reverse());
    let flags = Flow::<Ip4>::TRANSLATED;
    [
        Flow { flags, translation: Translation::new(key, &question), ..flow },
        Flow { flags, translation: back, ..untouched() },
    ]
}

fn put(flows: &mut Flows<Ip4>, place: Place, key: &FlowKey<Ip4>, [one, other]: [Flow<Ip4>; 2]) {
    flows.set(place, key, &one).unwrap();
    flows.set(place, &one.answer(key), &other).unwrap();
}

/// Sweeps once.
fn sweep(sweeper: &mut Sweeper<Ip4>, now: u32, entries: usize) -> Sweep {
    for _ in 0..1_000_000 {
        if let Some(sweep) = sweeper.slice(now, entries).unwrap() {
            return sweep;
        }
    }
    panic!("the sweep does not end")
}

fn sweeper(root: &Root) -> Sweeper<Ip4> {
    Sweeper::new(again(root), Timeouts::default(), SECOND)
}

#[test]
fn a_flow_goes_when_it_was_silent_for_longer_than_its_state_allows() {
    let [established, opened] = [SYN | ACK, SYN];
    let states = [
        (TCP, [(opened, 1), (0, 0)], Timeout::TcpSynSent),
        (TCP, [(opened, 1), (established, 1)], Timeout::TcpSynRecv),
        (TCP, [(established, 2), (established, 2)], Timeout::TcpEstablished),
        (TCP, [(ACK, 5), (0, 0)], Timeout::TcpUnacknowledged),
        (TCP, [(established | FIN, 2), (established, 2)], Timeout::TcpFinWait),
        (TCP, [(established, 2), (established | FIN, 2)], Timeout::TcpFinWait),
        (TCP, [(established | FIN, 2), (established | FIN, 2)], Timeout::TcpTimeWait),
        (TCP, [(established, 2), (established | RST, 2)], Timeout::TcpClose),
        (UDP, [(0, 7), (0, 0)], Timeout::Udp),
        (UDP, [(0, 1), (0, 1)], Timeout::Udp),
        (UDP, [(0, 2), (0, 1)], Timeout::UdpStream),
        (1, [(0, 3), (0, 3)], Timeout::Icmp),
        (132, [(established, 3), (ACK, 3)], Timeout::SctpEstablished),
        (47, [(0, 3), (0, 3)], Timeout::Generic),
    ];
    isolated(|root| {
        let mut flows = flows(root, 1024, 1024);
        for place in [Place::New, Place::Main] {
            for (protocol, [one, other], timeout) in states {
                let limit = timeout.default_seconds();
                let stamped =
                    |(seen, packets), idle| if packets == 0 { untouched() } else { half(seen, packets, idle) };
                for (idle, left, longer_ago) in [(limit, 2, 0), (limit, 2, 99), (limit + 1, 0, 0), (limit + 1, 0, 99)] {
                    // Whichever was heard last, it counts.
                    let pair = [stamped(one, idle), stamped(other, idle + longer_ago)];
                    put(&mut flows, place, &key(1, protocol), pair);
                    let swept = sweep(&mut sweeper(root), NOW, 100);
                    let there = flows.entries().unwrap().len();
                    assert_eq!(there, left, "{timeout:?} after {idle} s in {place:?}: {swept:?}");
                    assert_eq!((swept.expired, swept.alone, swept.put_back), (usize::from(left == 0), 0, 0));
                }
                flows.cut(|_, _| true).unwrap();
            }
        }
    });
}

#[test]
fn only_the_flow_goes_whose_time_is_up_and_a_time_can_be_chosen() {
    isolated(|root| {
        let mut flows = flows(root, 1024, 1024);
        for n in 0..100 {
            put(&mut flows, Place::Main, &key(n, UDP), [half(0, 5, n), half(0, 5, n)]);
        }
        let given = Given::among_defaults(&["udp-stream=49".parse().unwrap()]);
        let swept = sweep(&mut Sweeper::new(again(root), given, SECOND), NOW, 16);
        assert_eq!(swept.expired, 50, "{swept:?}");
        let left: BTreeSet<_> = flows.entries().unwrap().iter().map(|(key, _)| Ipv4Addr::from(key.src)).collect();
        let pair = |n| [key(n, UDP).src, key(n, UDP).dst].map(Ipv4Addr::from);
        assert_eq!(left, (0..50).flat_map(pair).collect());
    });
}

#[test]
fn a_flow_with_a_direction_in_either_table_goes_as_a_whole() {
    isolated(|root| {
        let mut flows = flows(root, 1024, 1024);
        flows.new.set(&key(1, UDP), &half(0, 5, 500)).unwrap();
        flows.main.set(&key(1, UDP).reverse(), &half(0, 5, 500)).unwrap();
        assert_eq!(sweep(&mut sweeper(root), NOW, 100).expired, 1);
        assert_eq!(flows.entries().unwrap(), []);
    });
}

#[test]
fn what_was_left_behind_on_the_way_to_the_other_table_goes() {
    isolated(|root| {
        let mut flows = flows(root, 1024, 1024);
        put(&mut flows, Place::Main, &key(1, TCP), [half(SYN | ACK, 9, 1), half(SYN | ACK, 9, 1)]);
        put(&mut flows, Place::New, &key(1, TCP), [half(SYN | ACK, 1, 900), half(SYN | ACK, 1, 900)]);
        sweep(&mut sweeper(root), NOW, 100);
        let left = flows.placed().unwrap();
        // A direction that is no sign of anything is not looked at twice: it is no one's way, and the LRU's to throw out.
        assert_eq!(left.iter().filter(|(place, _)| *place == Place::Main).count(), 2);
        put(&mut flows, Place::New, &key(1, TCP), [half(SYN, 1, 900), half(SYN | FIN, 1, 900)]);
        sweep(&mut sweeper(root), NOW, 100);
        assert!(flows.placed().unwrap().iter().all(|(place, _)| *place == Place::Main));
        assert_eq!(flows.entries().unwrap().len(), 2);
    });
}

#[test]
fn a_direction_without_other_goes_after_a_while() {
    isolated(|root| {
        let mut flows = flows(root, 1024, 1024);
        // The first was asked to wait for answers and its question is not stored yet.
        flows.new.set(&key(1, TCP), &untouched()).unwrap();
        flows.new.set(&key(2, UDP), &half(0, 1, 31)).unwrap();
        flows.main.set(&key(3, TCP), &half(SYN | FIN | ACK, 1, 121)).unwrap();
        // What goes by the host may have no other here.
        let by_host = |seen, idle| Flow { via: Via::Host as u8, ..half(seen, 5, idle) };
        flows.new.set(&key(4, TCP), &by_host(ACK, 299)).unwrap();
        flows.new.set(&key(5, TCP), &by_host(ACK, 301)).unwrap();
        let mut sweeper = sweeper(root);
        let swept = sweep(&mut sweeper, NOW, 100);
        assert_eq!((swept.alone, swept.expired), (3, 0), "{swept:?}");
        for (later, alone) in [(5, 1), (10, 0), (11, 1)] {
            assert_eq!(sweep(&mut sweeper, NOW + later, 100).alone, alone, "{later} s later");
        }
        assert_eq!(flows.entries().unwrap(), []);
    });
}

#[test]
fn an_answer_to_somebody_else_is_no_other_direction() {
    isolated(|root| {
        let mut flows = flows(root, 1024, 1024);
        // 1 was translated to what 2 is answered by now.
        let question = FlowKey::new(ip(9), ip(1_000_001), Be16::new(20_000), Be16::new(80), TCP);
        let masqueraded = |of: &FlowKey<Ip4>, flow| Flow {
            flags: Flow::<Ip4>::TRANSLATED | Flow::<Ip4>::MASQUERADED,
            translation: Translation::new(of, &question),
            ..flow
        };
        let [old, new] = [1, 2].map(|n| FlowKey::new(ip(n), question.dst, Be16::new(4000), question.dport, TCP));
        flows.main.set(&old, &masqueraded(&old, half(FIN | ACK, 9, 500))).unwrap();
        flows.main.set(&new, &masqueraded(&new, half(SYN | ACK, 9, 1))).unwrap();
        let back = Translation::new(&question.reverse(), &new.reverse());
        let answers = Flow { flags: Flow::<Ip4>::TRANSLATED, translation: back, ..half(SYN | ACK | FIN, 9, 2) };
        flows.main.set(&question.reverse(), &answers).unwrap();
        let swept = sweep(&mut sweeper(root), NOW, 100);
        assert_eq!((swept.alone, swept.expired), (1, 0));
        assert_eq!(flows.get(&old).unwrap(), None);
        assert_eq!(flows.entries().unwrap().len(), 2);
        assert_eq!(flows.cut(|key, _| *key == new).unwrap(), 2);
    });
}

#[test]
fn where_there_is_little_room_what_nobody_would_miss_goes_early() {
    isolated(|root| {
        let mut flows = flows(root, 1024, 1024);
        let expendable = |n: u32, flows: &mut Flows<Ip4>| {
            put(flows, Place::Main, &key(n, TCP), [half(SYN | ACK | FIN, 9, 6); 2]);
            put(flows, Place::Main, &key(n, UDP), [half(0, 1, 6), untouched()]);
        };
        let established = [half(SYN | ACK, 9, 6); 2];
        expendable(1, &mut flows);
        expendable(2, &mut flows);
        for n in 100..480 {
            put(&mut flows, Place::Main, &key(n, TCP), established);
        }
        let mut sweeper = sweeper(root);
        let swept = sweep(&mut sweeper, NOW, 64);
        assert_eq!((swept.main.total, swept.main_capacity), (768, 1024));
        assert_eq!((swept.pressed, swept.expired), (false, 0), "just three quarters");
        put(&mut flows, Place::Main, &key(500, TCP), established);
        put(&mut flows, Place::New, &key(501, UDP), [half(0, 1, 6), untouched()]);
        // The first sweep that notices begins at once, and the next knows from the beginning.
        let swept = [sweep(&mut sweeper, NOW, 64), sweep(&mut sweeper, NOW, 64)];
        assert!(swept[0].pressed && swept[1].pressed, "{swept:?}");
        assert_eq!(swept[0].expired + swept[1].expired, 4);
        let left = flows.placed().unwrap();
        assert_eq!(left.len(), 2 * 381 + 2, "the other table makes room for itself");
        assert!(left.iter().all(|(place, (key, _))| *place == Place::New || key.protocol == TCP));
    });
}

#[test]
fn a_large_table_is_gone_through_in_slices_that_read_no_more_than_asked() {
    const PAIRS: u32 = 100_000;
    const SLICE: usize = 4096;
    isolated(|root| {
        let mut flows = flows(root, 1 << 18, 1024);
        let is_over = |n: u32| n.is_multiple_of(100);
        let stamp = |n| half(if is_over(n) { SYN | ACK | FIN } else { SYN | ACK }, 9, 500);
        let entries: Vec<_> =
            (0..PAIRS).flat_map(|n| [(key(n, TCP), stamp(n)), (key(n, TCP).reverse(), stamp(n))]).collect();
        flows.main.set_all(&entries).unwrap();
        let mut sweeper = sweeper(root);
        let swept = sweep(&mut sweeper, NOW, SLICE);
        // The other direction of one that is removed is not met any more, or in the same slice.
        assert_eq!(swept.expired, 1000);
        assert!((199_000..=200_000).contains(&swept.main.total), "{swept:?}");
        assert!((1000..=2000).contains(&swept.looked_up), "who is only idle is not looked at twice: {swept:?}");
        assert!((50..70).contains(&swept.slices), "{swept:?}");
        assert_eq!(flows.main.entries().unwrap().len(), 198_000);
    });
}

#[test]
fn a_sweep_survives_that_the_table_changes_between_its_slices() {
    isolated(|root| {
        let mut flows = flows(root, 1 << 14, 1024);
        let mut sweeper = sweeper(root);
        for n in 0..2000 {
            put(&mut flows, Place::Main, &key(n, UDP), [half(0, 9, 500); 2]);
        }
        let mut others = 10_000;
        let swept = loop {
            // Others come and go, the swept ones too.
            for n in others..others + 50 {
                put(&mut flows, Place::Main, &key(n, TCP), [half(SYN | ACK, 9, 0); 2]);
                flows.main.remove(&key(n - 100, TCP)).unwrap();
                flows.main.remove(&key(n - 10_000, UDP)).unwrap();
            }
            others += 50;
            if let Some(swept) = sweeper.slice(NOW, 64).unwrap() {
                break swept;
            }
            assert!(others < 1_000_000, "the sweep does not end");
        };
        assert!(swept.expired + swept.alone > 0, "{swept:?}");
        // What changes late in one sweep is the next one's.
        sweep(&mut sweeper, NOW, 64);
        assert!(flows.entries().unwrap().iter().all(|(key, _)| key.protocol == TCP));
    });
}

#[test]
fn what_the_flood_leaves_in_the_lru_is_swept_too() {
    isolated(|root| {
        let mut flows = flows(root, 1024, 1024);
        // Far more than there is room for: many directions of translated flows have lost their other.
        for n in 0..5000 {
            let flows_of_tuple =
                if n % 2 == 0 { [half(SYN, 1, 121), untouched()] } else { translated(&key(n, TCP), half(SYN, 1, 121)) };
            put(&mut flows, Place::New, &key(n, TCP), flows_of_tuple);
        }
        let mut sweeper = sweeper(root);
        let first = sweep(&mut sweeper, NOW, 100);
        assert!(first.new.total <= 2048 && first.new.total > 0, "{first:?}");
        sweep(&mut sweeper, NOW + 11, 100);
        assert_eq!(flows.entries().unwrap(), []);
    });
}
