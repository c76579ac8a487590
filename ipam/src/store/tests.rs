use std::{cell::Cell, os::unix::fs::MetadataExt, time::Duration};

use super::*;

fn attachment(id: &str) -> Attachment {
    Attachment::new(id, "eth0").unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::new(dir.path().join("deep/net"));
    (dir, store)
}

#[test]
fn an_entry_and_its_addresses_are_one_inode_that_names_its_owner() {
    let (_dir, store) = store();
    let a = attachment("a");
    let mut entry = Entry::create(&store, &a, &[ip("10.0.0.1")]).unwrap();
    assert!(entry.claim(ip("10.0.0.1")).unwrap());
    entry.want(ip("fd00::1")).unwrap();
    assert!(entry.claim(ip("fd00::1")).unwrap());
    drop(entry);
    let metadata = fs::metadata(store.entry_path(&a)).unwrap();
    assert_eq!((metadata.nlink(), metadata.mode() & 0o777), (3, 0o600));
    for name in ["10.0.0.1", "fd00::1", "attachments/a:eth0"] {
        let path = store.dir().join(name);
        assert_eq!(fs::metadata(&path).unwrap().ino(), metadata.ino());
        assert_eq!(fs::read_to_string(path).unwrap(), "a:eth0\n10.0.0.1\nfd00::1\n");
    }
    let mut entry = Entry::open(&store, &a).unwrap().unwrap();
    assert_eq!(entry.addresses().unwrap(), [ip("10.0.0.1"), ip("fd00::1")]);
}

#[test]
fn a_second_entry_and_a_second_claim_lose() {
    let (_dir, store) = store();
    let (a, b) = (attachment("a"), attachment("b"));
    let entry = Entry::create(&store, &a, &[ip("10.0.0.1")]).unwrap();
    assert!(entry.claim(ip("10.0.0.1")).unwrap());
    assert!(matches!(Entry::create(&store, &a, &[]), Err(Error::Duplicate(who)) if who == a));
    assert!(!Entry::create(&store, &b, &[ip("10.0.0.1")]).unwrap().claim(ip("10.0.0.1")).unwrap());
}

#[test]
fn only_the_owners_addresses_are_released() {
    let (_dir, store) = store();
    let (a, b) = (attachment("a"), attachment("b"));
    let entry = Entry::create(&store, &a, &[ip("10.0.0.1")]).unwrap();
    assert!(entry.claim(ip("10.0.0.1")).unwrap());
    drop(entry);
    // Wants what the other one holds, as after a kill between wanting and losing.
    drop(Entry::create(&store, &b, &[ip("10.0.0.1")]).unwrap());
    assert_eq!(Entry::open(&store, &b).unwrap().unwrap().release().unwrap(), [] as [IpAddr; 0]);
    assert_eq!(store.taken().unwrap(), [ip("10.0.0.1")].into());
    assert_eq!(Entry::open(&store, &a).unwrap().unwrap().release().unwrap(), [ip("10.0.0.1")]);
    assert!(store.taken().unwrap().is_empty());
    assert!(Entry::open(&store, &a).unwrap().is_none());
    assert_eq!(store.attachments().unwrap(), []);
}

#[test]
fn a_lost_entry_frees_its_addresses_in_the_sweep_and_nobody_elses() {
    let (_dir, store) = store();
    let (a, b) = (attachment("a"), attachment("b"));
    for (who, address) in [(&a, "10.0.0.1"), (&b, "10.0.0.2")] {
        assert!(Entry::create(&store, who, &[ip(address)]).unwrap().claim(ip(address)).unwrap());
    }
    // What a machine crash can do to a file that was never synced.
    fs::write(store.entry_path(&a), "").unwrap();
    assert_eq!(Entry::open(&store, &a).unwrap().unwrap().release().unwrap(), [] as [IpAddr; 0]);
    assert_eq!(store.taken().unwrap().len(), 2);
    assert_eq!(store.sweep_orphans().unwrap(), [ip("10.0.0.1")]);
    assert_eq!(store.taken().unwrap(), [ip("10.0.0.2")].into());
}

#[test]
fn cursors_survive_and_shorter_ones_leave_nothing_of_longer_ones() {
    let (_dir, store) = store();
    assert_eq!(store.cursor(0), None);
    store.prepare().unwrap();
    for text in ["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "10.0.0.1"] {
        store.set_cursor(0, ip(text));
        assert_eq!(store.cursor(0), Some(ip(text)));
    }
    fs::write(store.cursor_path(1), "nonsense").unwrap();
    assert_eq!(store.cursor(1), None);
}

#[test]
fn released_addresses_rest_one_to_two_periods_in_order() {
    thread_local!(static NOW: Cell<u64> = const { Cell::new(1_000_000) });
    let later = |secs: u64| NOW.set(NOW.get() + secs);
    let (_dir, store) = store();
    let now = || Duration::from_secs(NOW.get());
    let store = store.with_cooldown(Cooldown { period: Duration::from_secs(10), now });
    store.prepare().unwrap();
    store.rest(&[ip("10.0.0.1"), ip("10.0.0.2")]);
    later(10);
    store.rest(&[ip("10.0.0.3"), ip("10.0.0.1")]);
    assert_eq!(store.cooling(), [ip("10.0.0.2"), ip("10.0.0.3"), ip("10.0.0.1")]);
    later(10);
    assert_eq!(store.cooling(), [ip("10.0.0.3"), ip("10.0.0.1")]);
    later(10);
    assert_eq!(store.cooling(), [] as [IpAddr; 0]);
    later(1000);
    store.rest(&[ip("10.0.0.9")]);
    assert_eq!(store.names(RELEASED).unwrap().len(), 1, "old periods are removed");
}
