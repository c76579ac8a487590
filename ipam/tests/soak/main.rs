//! Ten thousand addresses, given and taken back by processes that are killed at any moment, against a model that knows
//! only who was told what. Longer: `CARACAL_SOAK_ADDRESSES`, `CARACAL_SOAK_STEPS`; the same again: `CARACAL_SOAK_SEED`
//! (as far as kills can be repeated).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    env,
    net::IpAddr,
    path::Path,
    sync::Mutex,
    thread,
    time::{Duration, SystemTime},
};

use caracal_ipam::store::Store;
use dice::Dice;
use worker::{Outcome, Worker};

mod dice;
mod worker;

/// Processes that are at work at the same time.
const DRIVERS: u32 = 2;

/// Of how many calls one is killed.
const KILLED: u64 = 40;

/// Longer than an add or a del takes, so that a kill may come anywhere in it, and after it.
const LONGEST: Duration = Duration::from_micros(600);

/// What is known of an attachment.
#[derive(Clone, Debug, PartialEq)]
enum State {
    /// It was told these addresses.
    Holds(Vec<IpAddr>),
    /// A kill came halfway: it may hold some, all or none.
    Unclear,
}

/// Who was told which address and has not begun to give it back.
type Holders = Mutex<HashMap<IpAddr, u32>>;

/// What one driver knows of its share of the attachments: those whose number leaves its own remainder.
struct Driver<'a> {
    number: u32,
    dice: Dice,
    worker: Worker,
    known: BTreeMap<u32, State>,
    holders: &'a Holders,
    kills: u32,
}

impl<'a> Driver<'a> {
    fn new(number: u32, seed: u64, dir: &Path, holders: &'a Holders) -> Self {
        let dice = Dice::new(seed + u64::from(number));
        Self { number, dice, worker: Worker::start(dir), known: BTreeMap::new(), holders, kills: 0 }
    }

    /// Has the worker do something, and now and then kills it meanwhile.
    fn call(&mut self, order: &str) -> Outcome {
        let kill_after = self.dice.one_in(KILLED).then(|| self.dice.below(LONGEST));
        self.kills += u32::from(kill_after.is_some());
        self.worker.call(order, kill_after)
    }

    fn add(&mut self, id: u32) {
        match self.call(&format!("add {id}")) {
            Outcome::Killed => self.settle(id),
            Outcome::Done(ips) => {
                assert_eq!(ips.len(), 2, "{id} was given {ips:?}");
                let mut holders = self.holders.lock().unwrap();
                for ip in &ips {
                    assert_eq!(holders.insert(*ip, id), None, "{ip} has two holders");
                }
                assert_eq!(self.known.insert(id, State::Holds(ips)), None);
            }
            Outcome::Refused(reason) => panic!("{id}: {reason}"),
        }
    }

    /// What a runtime may do after an ADD or DEL that was killed: DEL, ADD again after a DEL, or nothing before GC.
    fn settle(&mut self, id: u32) {
        self.known.insert(id, State::Unclear);
        match self.dice.up_to(3) {
            0 => {}
            1 => self.del(id),
            _ => {
                self.del(id);
                if !self.known.contains_key(&id) {
                    self.add(id);
                }
            }
        }
    }

    fn del(&mut self, id: u32) {
        let known = self.known.remove(&id);
        if let Some(State::Holds(ips)) = &known {
            let mut holders = self.holders.lock().unwrap();
            assert!(ips.iter().all(|ip| holders.remove(ip) == Some(id)));
        }
        match (self.call(&format!("del {id}")), known) {
            (Outcome::Killed, Some(_)) => self.settle(id),
            (Outcome::Done(released), Some(State::Holds(told))) => assert_eq!(released, told, "{id}"),
            (Outcome::Done(released), None) => assert_eq!(released, [] as [IpAddr; 0], "{id} held something"),
            (Outcome::Killed, None) | (Outcome::Done(_), Some(State::Unclear)) => {}
            (Outcome::Refused(reason), _) => panic!("{id}: {reason}"),
        }
    }

    /// Adds until there are `count`.
    fn grow(&mut self, count: u32) {
        let mut id = self.number;
        while self.known.len() < count as usize {
            self.add(id);
            id += DRIVERS;
        }
    }

    /// Comings and goings.
    fn churn(&mut self, steps: u32, ids: u32) {
        for _ in 0..steps {
            let id = self.dice.up_to(ids / DRIVERS) * DRIVERS + self.number;
            match self.known.get(&id) {
                None if self.dice.one_in(4) => self.del(id),
                None => self.add(id),
                Some(State::Holds(told)) if self.dice.one_in(4) => {
                    let told = told.clone();
                    match self.call(&format!("held {id}")) {
                        Outcome::Done(held) => assert_eq!(held, told),
                        Outcome::Killed => {}
                        Outcome::Refused(reason) => panic!("{id}: {reason}"),
                    }
                }
                Some(_) => self.del(id),
            }
        }
    }

    /// Has everything released but what is known to be held, less every third; killed as often as it takes.
    fn gc(drivers: &mut [Self], dir: &Path) {
        let is_valid = |id: &u32, state: &State| matches!(state, State::Holds(_)) && !id.is_multiple_of(3);
        let mut valid = Vec::new();
        for driver in &mut *drivers {
            driver.known.retain(|id, state| is_valid(id, state));
            valid.extend(driver.known.keys().map(ToString::to_string));
        }
        let order = format!("gc {}", valid.join(" "));
        let dice = &mut drivers[0].dice;
        let mut worker = Worker::start(dir);
        for _ in 0..20 {
            let kill_after = dice.below(Duration::from_millis(40));
            if let Outcome::Refused(reason) = worker.call(&order, Some(kill_after)) {
                panic!("{reason}");
            }
        }
        assert_eq!(worker.call(&order, None), Outcome::Done(Vec::new()));
    }
}

/// What the store says is what was told.
fn agrees(drivers: &[Driver<'_>], store: &Store) {
    let mut told = BTreeSet::new();
    let mut ids = BTreeSet::new();
    let mut unclear = 0;
    for (id, state) in drivers.iter().flat_map(|driver| &driver.known) {
        match state {
            State::Holds(ips) => {
                ids.insert(worker::attachment(&id.to_string()));
                told.extend(ips.iter().copied());
            }
            State::Unclear => unclear += 1,
        }
    }
    let taken: BTreeSet<_> = store.taken().unwrap().into_iter().collect();
    let entries: BTreeSet<_> = store.attachments().unwrap().into_iter().collect();
    assert!(taken.is_superset(&told) && entries.is_superset(&ids));
    assert!(taken.len() <= told.len() + 2 * unclear, "{} taken, {} told", taken.len(), told.len());
    assert!(entries.len() <= ids.len() + unclear);
    if unclear == 0 {
        assert_eq!((taken, entries), (told, ids));
    }
}

/// Has every driver do the same at the same time.
fn all<'a>(drivers: &mut [Driver<'a>], work: impl Fn(&mut Driver<'a>) + Sync) {
    let work = &work;
    thread::scope(|scope| {
        for driver in drivers {
            scope.spawn(move || work(driver));
        }
    });
}

fn setting(name: &str, usual: u64) -> u64 {
    env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|e| panic!("{name}={text}: {e}")))
}

#[test]
fn ten_thousand_addresses_survive_kills() {
    let seed = setting("CARACAL_SOAK_SEED", SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos().into());
    let addresses = u32::try_from(setting("CARACAL_SOAK_ADDRESSES", 10_000)).unwrap();
    let steps = u32::try_from(setting("CARACAL_SOAK_STEPS", 4_000)).unwrap();
    // A tmpfs where there is one, as `/run` is.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let holders = Holders::default();
    let store = Store::new(dir.path().join("net"));
    let mut drivers: Vec<_> = (0..DRIVERS).map(|number| Driver::new(number, seed, dir.path(), &holders)).collect();
    println!("CARACAL_SOAK_SEED={seed}");
    all(&mut drivers, |driver| driver.grow(addresses / DRIVERS));
    agrees(&drivers, &store);
    all(&mut drivers, |driver| driver.churn(steps / DRIVERS, addresses));
    agrees(&drivers, &store);
    Driver::gc(&mut drivers, dir.path());
    agrees(&drivers, &store);
    // What GC has released is nobody's now.
    let held: Vec<_> = drivers.iter().flat_map(|driver| driver.known.keys().copied()).collect();
    holders.lock().unwrap().retain(|_, id| held.contains(id));
    all(&mut drivers, |driver| driver.churn(steps / DRIVERS / 4, addresses));
    let kills: u32 = drivers.iter().map(|driver| driver.kills).sum();
    assert!(kills > 100, "{kills} kills mean nothing");
    all(&mut drivers, |driver| {
        while let Some(id) = driver.known.keys().next().copied() {
            driver.del(id);
        }
    });
    assert!(store.taken().unwrap().is_empty() && store.attachments().unwrap().is_empty());
}
