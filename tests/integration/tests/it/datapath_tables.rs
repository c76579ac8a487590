//! The typed tables against a plain map of the standard library.

use std::collections::BTreeMap;

use aya::maps::{HashMap, MapData};
use caracal_datapath::{Revision, Table};
use caracal_harness::isolated;

const ENTRIES: u32 = 10_000;

/// A table of its own, with entries `n → n * n`.
fn table(root: &caracal_datapath::Root, entries: u32) -> Table<u32, u64> {
    std::fs::create_dir_all(root.path()).unwrap();
    let pin = root.path().join("SQUARES");
    HashMap::<MapData, u32, u64>::create(2 * ENTRIES, 0).unwrap().pin(&pin).unwrap();
    let mut table = Table::open(&pin).unwrap();
    let squares: Vec<(u32, u64)> = (0..entries).map(|n| (n, u64::from(n) * u64::from(n))).collect();
    table.set_all(&squares).unwrap();
    table
}

#[test]
fn batches_write_and_read_every_entry() {
    isolated(|root| {
        let read: BTreeMap<u32, u64> = table(root, ENTRIES).entries().unwrap().into_iter().collect();
        assert_eq!(read.len(), ENTRIES as usize);
        assert!(read.iter().all(|(n, square)| u64::from(*n) * u64::from(*n) == *square));
    });
}

#[test]
fn an_empty_table_has_no_entries() {
    isolated(|root| assert!(table(root, 0).entries().unwrap().is_empty()));
}

#[test]
fn a_batch_removes_what_is_there_and_passes_over_what_is_not() {
    isolated(|root| {
        let mut table = table(root, ENTRIES);
        // Every other one is not there; the last ones neither.
        let keys: Vec<u32> = (0..ENTRIES).step_by(3).flat_map(|n| [n, n + 100 * ENTRIES]).collect();
        assert_eq!(table.remove_all(&keys).unwrap(), keys.len() / 2);
        let left = table.entries().unwrap();
        assert_eq!(left.len(), ENTRIES as usize - keys.len() / 2);
        assert!(left.iter().all(|(n, _)| n % 3 != 0));
    });
}

#[test]
fn single_entries() {
    isolated(|root| {
        let mut table = table(root, 10);
        assert_eq!((table.get(&3).unwrap(), table.get(&99).unwrap()), (Some(9), None));
        table.set(&3, &1).unwrap();
        assert_eq!(table.get(&3).unwrap(), Some(1));
        assert_eq!((table.remove(&3).unwrap(), table.remove(&3).unwrap()), (true, false));
    });
}

#[test]
fn what_is_not_there_is_not_replaced() {
    isolated(|root| {
        let mut table = table(root, 10);
        assert!(table.replace(&3, &1).unwrap());
        assert!(!table.replace(&99, &1).unwrap());
        assert_eq!((table.get(&3).unwrap(), table.get(&99).unwrap()), (Some(1), None));
    });
}

#[test]
fn a_revision_changes_what_it_says_and_nothing_else() {
    isolated(|root| {
        let mut table = table(root, ENTRIES);
        let changed = table.revise(|n, square| match n % 4 {
            0 => Revision::Remove,
            1 => Revision::Replace(square + 1),
            _ => Revision::Keep,
        });
        assert_eq!(changed.unwrap(), ENTRIES as usize / 2);
        let left: BTreeMap<u32, u64> = table.entries().unwrap().into_iter().collect();
        let square = |n: u32| u64::from(n) * u64::from(n);
        let expected = (0..ENTRIES).filter(|n| n % 4 != 0).map(|n| (n, square(n) + u64::from(n % 4 == 1)));
        assert_eq!(left, expected.collect());
    });
}

#[test]
fn a_full_table_says_so_and_how_far_it_came() {
    isolated(|root| {
        let mut table = table(root, 0);
        let too_many: Vec<(u32, u64)> = (0..3 * ENTRIES).map(|n| (n, 0)).collect();
        let error = table.set_all(&too_many).unwrap_err().to_string();
        assert!(error.contains("SQUARES") && error.contains("BPF_MAP_UPDATE_BATCH"), "{error}");
        assert_eq!(table.entries().unwrap().len(), 2 * ENTRIES as usize);
    });
}
