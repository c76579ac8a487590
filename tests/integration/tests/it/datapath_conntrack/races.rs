//! Packets that come while their flow is swept.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use caracal_datapath::{Features, Loader, Place};
use caracal_harness::{Action, Frame, Plane, Pod, isolated};

use super::{ACK, FIN, NOW, SYN, TCP, again, flows, half, key, put, sweep, sweeper};

/// Ends the other thread's loop, also where this one has failed.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Packets that come while a flow is removed: written by another CPU, as programs do.
#[test]
fn a_flow_that_a_packet_came_for_at_the_last_moment_is_put_back_as_a_whole() {
    isolated(|root| {
        let mut flows = flows(root, 1024, 1024);
        let mut sweeper = sweeper(root);
        let (key, stop) = (key(1, TCP), AtomicBool::new(false));
        let mut put_back = 0;
        thread::scope(|scope| {
            let mut writer = again(root);
            let stop = &stop;
            scope.spawn(move || {
                for packets in 0.. {
                    for key in [key, key.reverse()] {
                        // Only where there is one.
                        writer.main.replace(&key, &half(SYN | ACK | FIN, packets + 1, 500)).unwrap();
                    }
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
            let _stop = Stop(stop);
            for _ in 0..100_000 {
                put(&mut flows, Place::Main, &key, [half(SYN | ACK | FIN, 1, 500); 2]);
                let swept = sweep(&mut sweeper, NOW, 100);
                put_back += swept.put_back;
                let there = [key, key.reverse()].map(|key| flows.get(&key).unwrap().is_some());
                assert_eq!(there[0], there[1], "half a flow: {swept:?}");
                if put_back >= 20 {
                    break;
                }
            }
        });
        assert!(put_back >= 20, "only {put_back}");
    });
}

/// Each sweep finds the flow to be over and removes it under the packets' feet.
#[test]
fn no_packet_is_lost_while_its_flow_is_swept_and_no_half_of_it_stays() {
    isolated(|root| {
        // Small, for many sweeps.
        let (flow_entries, new_flow_entries) = (Some(1024), Some(1024));
        let loader = Loader { host_nat: false, flow_entries, new_flow_entries, ..Loader::new(Features::probe()) };
        let plane = Plane::with(root, &loader);
        let pods = [("10.0.0.1", 1), ("10.0.0.2", 2)].map(|(ip, n)| Pod::new(ip, n, Plane::IFINDEX));
        for pod in &pods {
            plane.add(pod);
        }
        let send = |side: usize| {
            let [from, to] = [&pods[side], &pods[1 - side]];
            let ports = [4000, 80];
            let outcome = plane.from_pod(&Frame::new(from, to.ip).ack(ports[side], ports[1 - side]));
            assert_eq!(outcome.action, Action::Redirect, "{:?}", plane.counted());
        };
        let (stop, swept) = (AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            let (stop, swept, mut sweeper) = (&stop, &swept, sweeper(root));
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let sweep = sweep(&mut sweeper, u32::MAX, 100);
                    swept.fetch_add(sweep.expired + sweep.put_back + sweep.alone, Ordering::Relaxed);
                }
            });
            let _stop = Stop(stop);
            let mut packets = 0;
            while packets < 1_000_000 && (packets < 10_000 || swept.load(Ordering::Relaxed) < 200) {
                send(packets % 2);
                packets += 1;
            }
        });
        assert!(swept.into_inner() >= 200);
        // Both directions go on, and nothing is left of what was before.
        for side in [0, 1, 0, 1] {
            send(side);
        }
        let flows = plane.pinned().flows4().unwrap();
        let left: Vec<_> = flows.placed().unwrap();
        assert_eq!(left.iter().filter(|(place, _)| *place == Place::Main).count(), 2, "{left:?}");
        sweep(&mut sweeper(root), u32::MAX, 100);
        assert_eq!(flows.entries().unwrap(), []);
    });
}
