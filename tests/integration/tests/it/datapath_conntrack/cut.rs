//! Flows that end because somebody says so.

use caracal_abi::{Flow, Ip4, Via};
use caracal_datapath::{Place, conntrack::Cut};
use caracal_harness::isolated;

use super::{ACK, NOW, TCP, UDP, flows, half, ip, key, put, sweep, sweeper, untouched};

#[test]
fn cutting_removes_both_directions_wherever_they_are() {
    isolated(|root| {
        let mut flows = flows(root, 1024, 1024);
        put(&mut flows, Place::Main, &key(1, TCP), [half(ACK, 9, 1); 2]);
        flows.new.set(&key(2, UDP), &half(0, 1, 1)).unwrap();
        flows.main.set(&key(2, UDP).reverse(), &untouched()).unwrap();
        put(&mut flows, Place::Main, &key(3, TCP), [half(ACK, 9, 1); 2]);
        let unwanted = [ip(1), ip(2)];
        assert_eq!(flows.cut(|key, _| unwanted.contains(&key.src)).unwrap(), 4);
        assert_eq!(flows.entries().unwrap().len(), 2);
        assert_eq!(flows.cut(|key, _| [key.src, key.dst].contains(&ip(3))).unwrap(), 2);
        assert_eq!(flows.entries().unwrap(), []);
    });
}

#[test]
fn a_reset_waits_for_the_next_packet_of_a_connection_and_cuts_the_rest() {
    isolated(|root| {
        let mut flows = flows(root, 1024, 1024);
        let flags = Flow::<Ip4>::ROUTED | Flow::<Ip4>::FROM_NET;
        put(&mut flows, Place::Main, &key(1, TCP), [Flow { flags, ..half(ACK, 9, 1) }, half(ACK, 9, 1)]);
        put(&mut flows, Place::New, &key(1, UDP), [half(0, 1, 1), untouched()]);
        put(&mut flows, Place::Main, &key(2, TCP), [half(ACK, 9, 1); 2]);
        let cut = flows.reset(|key, _| key.src == ip(1)).unwrap();
        assert_eq!(cut, Cut { removed: 2, reset: 2 });
        let one = flows.get(&key(1, TCP)).unwrap().unwrap();
        assert_eq!((one.via(), one.flags, one.packets), (Some(Via::Reset), Flow::<Ip4>::FROM_NET, 9));
        assert_eq!(flows.get(&key(1, TCP).reverse()).unwrap().unwrap().via(), Some(Via::Reset));
        assert_eq!(flows.get(&key(2, TCP)).unwrap().unwrap().via(), Some(Via::Peer));
        assert_eq!(flows.entries().unwrap().len(), 4);
        // Nobody waits for days.
        let swept = sweep(&mut sweeper(root), NOW + 10, 100);
        assert_eq!(swept.expired, 1);
        assert_eq!(flows.get(&key(1, TCP)).unwrap(), None);
    });
}
