use std::{collections::HashMap, fmt::Display, sync::Mutex, thread};

use serde_json::{Value, json};

use super::*;
use crate::json::Node;

fn config(ipam: &Value) -> Config {
    Config::parse(&Node::root(ipam), None).unwrap()
}

fn pool(subnets: &[&str]) -> Config {
    config(&json!({"ranges": subnets.iter().map(|subnet| json!([{"subnet": subnet}])).collect::<Vec<_>>()}))
}

fn ipam() -> (tempfile::TempDir, Ipam) {
    let dir = tempfile::tempdir().unwrap();
    let ipam = Ipam::new(dir.path(), "net");
    (dir, ipam)
}

fn who(id: impl Display) -> Attachment {
    Attachment::new(&format!("{id}"), "eth0").unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn given(leases: &[Lease]) -> Vec<String> {
    leases.iter().map(|lease| lease.address.to_string()).collect()
}

#[test]
fn one_address_of_each_set_with_prefix_and_gateway() {
    let (_dir, ipam) = ipam();
    let config = pool(&["10.1.0.0/24", "fd00:1::/64"]);
    let leases = ipam.add(&config, &who("a"), &[]).unwrap();
    assert_eq!(given(&leases), ["10.1.0.2/24", "fd00:1::2/64"]);
    assert_eq!(leases.iter().map(|lease| lease.gateway).collect::<Vec<_>>(), [ip("10.1.0.1"), ip("fd00:1::1")]);
    assert_eq!(given(&ipam.add(&config, &who("b"), &[]).unwrap()), ["10.1.0.3/24", "fd00:1::3/64"]);
    assert!(ipam.check(&who("a")).is_ok());
    assert!(matches!(ipam.check(&who("c")), Err(Error::NotHeld(_))));
}

#[test]
fn the_same_attachment_twice_is_refused_and_keeps_what_it_has() {
    let (_dir, ipam) = ipam();
    let config = pool(&["10.1.0.0/24"]);
    ipam.add(&config, &who("a"), &[]).unwrap();
    assert!(matches!(ipam.add(&config, &who("a"), &[]), Err(Error::Duplicate(_))));
    assert_eq!(ipam.addresses(&who("a")).unwrap(), [ip("10.1.0.2")]);
    let net1 = Attachment::new("a", "net1").unwrap();
    assert_eq!(given(&ipam.add(&config, &net1, &[]).unwrap()), ["10.1.0.3/24"]);
    assert_eq!(ipam.del(&who("a")).unwrap(), [ip("10.1.0.2")]);
    assert_eq!(ipam.addresses(&net1).unwrap(), [ip("10.1.0.3")]);
}

#[test]
fn giving_back_twice_or_what_was_never_held_is_nothing() {
    let (_dir, ipam) = ipam();
    assert_eq!(ipam.del(&who("a")).unwrap(), [] as [IpAddr; 0]);
    ipam.add(&pool(&["10.1.0.0/24"]), &who("a"), &[]).unwrap();
    assert_eq!(ipam.del(&who("a")).unwrap().len(), 1);
    assert_eq!(ipam.del(&who("a")).unwrap().len(), 0);
}

#[test]
fn a_full_range_falls_over_to_the_next_and_a_full_set_says_so() {
    let (_dir, ipam) = ipam();
    let config =
        config(&json!({"ranges": [[{"subnet": "10.1.0.0/30"}, {"subnet": "10.2.0.0/29", "rangeEnd": "10.2.0.3"}]]}));
    assert!(ipam.status(&config).is_ok());
    let all: Vec<_> = (0..3).flat_map(|i| given(&ipam.add(&config, &who(i), &[]).unwrap())).collect();
    assert_eq!(all, ["10.1.0.2/30", "10.2.0.2/29", "10.2.0.3/29"]);
    let full = "no IP addresses available in range set 10.1.0.1-10.1.0.2, 10.2.0.1-10.2.0.3: 3 in use of 3, 0 cooling";
    assert_eq!(ipam.add(&config, &who(3), &[]).unwrap_err().to_string(), full);
    assert_eq!(ipam.status(&config).unwrap_err().to_string(), full);
    assert_eq!(ipam.attachments().unwrap().len(), 3, "the failed one left nothing");
    ipam.del(&who(1)).unwrap();
    assert_eq!(given(&ipam.add(&config, &who(3), &[]).unwrap()), ["10.2.0.2/29"], "rest does not cause exhaustion");
}

#[test]
fn both_families_or_none() {
    let (_dir, ipam) = ipam();
    let config = pool(&["10.1.0.0/24", "fd00::/126"]);
    assert_eq!(given(&ipam.add(&config, &who(0), &[]).unwrap()), ["10.1.0.2/24", "fd00::2/126"]);
    ipam.add(&config, &who(1), &[]).unwrap();
    assert!(matches!(ipam.add(&config, &who(2), &[]), Err(Error::Exhausted { .. })));
    assert_eq!(ipam.attachments().unwrap().len(), 2);
    assert_eq!(ipam.store.taken().unwrap().len(), 4);
}

#[test]
fn freed_addresses_come_back_last() {
    let (_dir, ipam) = ipam();
    let config = pool(&["10.1.0.0/29"]);
    for i in 2..=4 {
        assert_eq!(given(&ipam.add(&config, &who(i), &[]).unwrap()), [format!("10.1.0.{i}/29")]);
    }
    for i in [4, 2] {
        ipam.del(&who(i)).unwrap();
    }
    let next: Vec<_> = (5..9).flat_map(|i| given(&ipam.add(&config, &who(i), &[]).unwrap())).collect();
    assert_eq!(next, ["10.1.0.5/29", "10.1.0.6/29", "10.1.0.4/29", "10.1.0.2/29"]);
}

#[test]
fn requested_addresses_are_given_or_refused_as_a_whole() {
    let (_dir, ipam) = ipam();
    let config = pool(&["10.1.0.0/24", "fd00::/64"]);
    let leases = ipam.add(&config, &who("a"), &[ip("fd00::77"), ip("10.1.0.77")]).unwrap();
    assert_eq!(given(&leases), ["10.1.0.77/24", "fd00::77/64"]);
    let refused = |wishes: &[&str]| {
        let wishes: Vec<_> = wishes.iter().map(|wish| ip(wish)).collect();
        ipam.add(&config, &who("b"), &wishes).unwrap_err().to_string()
    };
    assert_eq!(refused(&["10.1.0.78", "fd00::77"]), "requested IP address fd00::77 is in use");
    assert_eq!(refused(&["10.1.0.1"]), "requested IP address 10.1.0.1 is a gateway");
    let no_range = "is in no range, or its range set serves another requested address";
    for wish in ["10.2.0.1", "10.1.0.0", "10.1.0.255"] {
        assert_eq!(refused(&[wish]), format!("requested IP address {wish} {no_range}"));
    }
    assert_eq!(refused(&["10.1.0.5", "10.1.0.6"]), format!("requested IP address 10.1.0.6 {no_range}"));
    assert_eq!(ipam.store.taken().unwrap().len(), 2, "nothing stays of what was refused");
    assert_eq!(given(&ipam.add(&config, &who("b"), &[ip("10.1.0.78")]).unwrap()), ["10.1.0.78/24", "fd00::2/64"]);
}

#[test]
fn gc_spares_the_valid() {
    let (_dir, ipam) = ipam();
    let config = pool(&["10.1.0.0/24"]);
    for i in 0..4 {
        ipam.add(&config, &who(i), &[]).unwrap();
    }
    let errors = ipam.gc(&[who(1), who(3), who(9)].into());
    assert!(errors.is_empty(), "{errors:?}");
    let mut left = ipam.attachments().unwrap();
    left.sort();
    assert_eq!(left, [who(1), who(3)]);
    assert_eq!(ipam.store.taken().unwrap(), [ip("10.1.0.3"), ip("10.1.0.5")].into());
}

#[test]
fn threads_never_share_an_address_and_leak_none() {
    const THREADS: usize = 8;
    const ROUNDS: usize = 60;
    let (_dir, ipam) = ipam();
    let config = pool(&["10.1.0.0/27", "fd00::/64"]);
    let holders: Mutex<HashMap<IpNetwork, usize>> = Mutex::default();
    let work = |thread: usize| {
        let mut served = 0;
        for round in 0..ROUNDS {
            let me = who(format!("{thread}-{round}"));
            let leases = match ipam.add(&config, &me, &[]) {
                Ok(leases) => leases,
                Err(Error::Exhausted { .. }) => continue,
                Err(e) => panic!("{e}"),
            };
            served += 1;
            for lease in &leases {
                assert_eq!(holders.lock().unwrap().insert(lease.address, thread), None, "{} twice", lease.address);
            }
            thread::yield_now();
            for lease in &leases {
                assert_eq!(holders.lock().unwrap().remove(&lease.address), Some(thread));
            }
            assert_eq!(ipam.del(&me).unwrap().len(), 2);
        }
        served
    };
    let work = &work;
    let served: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || work(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(served, THREADS * ROUNDS, "29 addresses are enough for {THREADS} threads");
    assert!(ipam.store.taken().unwrap().is_empty());
    assert_eq!(ipam.attachments().unwrap(), []);
}

mod model;
