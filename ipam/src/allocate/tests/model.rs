//! Random sequences of add, del and gc, any of them killed before any of its changes, against a model that knows only
//! who has been told which address.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::store::kill_after;

const PEOPLE: u8 = 6;

#[derive(Clone, Debug)]
enum Op {
    Add(u8),
    Del(u8),
    Gc(Vec<u8>),
}

/// An operation, and before which of its changes it is killed.
fn step() -> impl Strategy<Value = (Op, u32)> {
    let op = prop_oneof![
        4 => (0..PEOPLE).prop_map(Op::Add),
        3 => (0..PEOPLE).prop_map(Op::Del),
        1 => proptest::collection::vec(0..PEOPLE, 0..4).prop_map(Op::Gc),
    ];
    // An add of two families makes about ten changes; many steps are to get through.
    (op, prop_oneof![0..14u32, Just(u32::MAX)])
}

/// What is known of an attachment.
#[derive(Clone, Debug, PartialEq)]
enum State {
    /// ADD succeeded, and told these addresses.
    Holds(BTreeSet<IpAddr>),
    /// Something was killed halfway: it may hold some, all or none.
    Unclear,
}

struct World {
    ipam: Ipam,
    config: Config,
    known: BTreeMap<u8, State>,
}

impl World {
    fn step(&mut self, op: &Op, fuel: u32) {
        match op {
            Op::Add(id) => self.add(*id, fuel),
            Op::Del(id) => self.del(*id, fuel),
            Op::Gc(valid) => self.gc(valid, fuel),
        }
        self.agrees();
    }

    fn add(&mut self, id: u8, fuel: u32) {
        let known = self.known.get(&id);
        match kill_after(fuel, || self.ipam.add(&self.config, &who(id), &[])) {
            None if matches!(known, Some(State::Holds(_))) => {}
            None => _ = self.known.insert(id, State::Unclear),
            Some(Ok(leases)) => {
                assert!(!matches!(known, Some(State::Holds(_))), "a second success for one attachment");
                let told = leases.iter().map(|lease| lease.address.ip()).collect();
                self.known.insert(id, State::Holds(told));
            }
            Some(Err(Error::Duplicate(_))) => assert!(known.is_some(), "refused without a reason"),
            Some(Err(Error::Exhausted { .. })) => {
                assert!(!matches!(known, Some(State::Holds(_))));
                let others = self.known.keys().filter(|other| **other != id).count();
                assert_eq!(others, 5, "exhausted although addresses are left");
            }
            Some(Err(e)) => panic!("{e}"),
        }
    }

    fn del(&mut self, id: u8, fuel: u32) {
        let Some(released) = kill_after(fuel, || self.ipam.del(&who(id))) else {
            self.known.entry(id).and_modify(|state| *state = State::Unclear);
            return;
        };
        let released: BTreeSet<_> = released.unwrap().into_iter().collect();
        if let Some(State::Holds(told)) = self.known.remove(&id) {
            assert_eq!(released, told);
        }
    }

    fn gc(&mut self, valid: &[u8], fuel: u32) {
        let stale = |id: &u8| !valid.contains(id);
        match kill_after(fuel, || self.ipam.gc(&valid.iter().map(who).collect())) {
            None => {
                for (_, state) in self.known.iter_mut().filter(|(id, _)| stale(id)) {
                    *state = State::Unclear;
                }
            }
            Some(errors) => {
                assert!(errors.is_empty(), "{errors:?}");
                self.known.retain(|id, _| !stale(id));
            }
        }
    }

    /// What the store says is what was told, and no address has two holders.
    fn agrees(&self) {
        let mut seen = BTreeMap::new();
        for id in 0..PEOPLE {
            let held: BTreeSet<_> = self.ipam.addresses(&who(id)).unwrap().into_iter().collect();
            for ip in &held {
                assert_eq!(seen.insert(*ip, id), None, "{ip} has two holders");
            }
            match self.known.get(&id) {
                None => assert!(held.is_empty(), "{id} holds {held:?} after its release"),
                Some(State::Holds(told)) => assert_eq!(held, *told),
                Some(State::Unclear) => {}
            }
        }
        let taken = self.ipam.store.taken().unwrap();
        assert_eq!(taken.len(), seen.len(), "every address that is taken has a holder to release it: {taken:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn killed_anywhere_nothing_leaks_and_nothing_is_held_twice(steps in proptest::collection::vec(step(), 1..40)) {
        let (_dir, ipam) = ipam();
        let mut world = World { ipam, config: pool(&["10.1.0.0/29", "fd00::/64"]), known: BTreeMap::new() };
        for (op, fuel) in &steps {
            world.step(op, *fuel);
        }
        // Whatever happened, DEL of everybody leaves nothing.
        for id in 0..PEOPLE {
            world.step(&Op::Del(id), u32::MAX);
        }
        prop_assert!(world.ipam.store.taken().unwrap().is_empty());
        prop_assert!(world.ipam.attachments().unwrap().is_empty());
    }
}
