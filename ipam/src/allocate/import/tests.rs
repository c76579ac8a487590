use std::{
    fs::{self, File},
    path::PathBuf,
    time::Duration,
};

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::{
    Config,
    json::Node,
    store::{Store, kill_after},
};

/// A node that is switched over.
struct Switched {
    _dir: TempDir,
    old: PathBuf,
    new: PathBuf,
}

impl Switched {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old/net"), dir.path().join("new"));
        fs::create_dir_all(&old).unwrap();
        Self { _dir: dir, old, new }
    }

    fn ipam(&self) -> Ipam {
        Ipam::new(&self.new, "net").with_host_local(Some(self.old.clone()))
    }

    /// As host-local does it.
    fn give(&self, ip: &str, text: &str) {
        fs::write(self.old.join(ip), text).unwrap();
    }

    fn old_names(&self) -> Vec<String> {
        let names = fs::read_dir(&self.old).unwrap().map(|item| item.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name != "lock").collect();
        names.sort();
        names
    }

    /// Makes the directory look as if nothing had happened for a while.
    fn settle(&self) {
        let long_ago = SystemTime::now() - Duration::from_secs(60);
        File::open(&self.old).unwrap().set_modified(long_ago).unwrap();
    }
}

fn who(text: &str) -> Attachment {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn config(ranges: &[&str]) -> Config {
    let sets: Vec<_> = ranges.iter().map(|subnet| json!([{"subnet": subnet}])).collect();
    Config::parse(&Node::root(&json!({"ranges": sets})), None).unwrap()
}

fn given(ipam: &Ipam, config: &Config, who: &Attachment) -> Vec<String> {
    ipam.add(config, who, &[]).unwrap().iter().map(|lease| lease.address.ip().to_string()).collect()
}

#[test]
fn what_host_local_has_given_out_is_not_given_out_again() {
    let node = Switched::new();
    node.give("10.1.0.2", "old1\r\neth0");
    node.give("10.1.0.3", "old2\r\neth0");
    node.give("fd00::2", "old2\r\neth0");
    node.give("10.1.0.4", "old3");
    let ipam = node.ipam();
    let config = config(&["10.1.0.0/29", "fd00::/64"]);
    assert_eq!(given(&ipam, &config, &who("new1:eth0")), ["10.1.0.5", "fd00::3"]);
    assert_eq!(ipam.addresses(&who("old2:eth0")).unwrap(), [ip("10.1.0.3"), ip("fd00::2")]);
    for holder in ["old1:eth0", "old2:eth0", "old3:eth0", "new1:eth0"] {
        ipam.check(&who(holder)).unwrap();
    }
    assert_eq!(node.old_names(), ["10.1.0.2", "10.1.0.3", "10.1.0.4", "fd00::2"], "nothing is changed there");
}

#[test]
fn a_release_is_one_from_both() {
    let node = Switched::new();
    node.give("10.1.0.2", "old1\r\neth0");
    node.give("10.1.0.3", "old1\r\nnet1");
    node.give("10.1.0.4", "old3");
    let ipam = node.ipam();
    ipam.import().unwrap();
    assert_eq!(ipam.del(&who("old1:eth0")).unwrap(), [ip("10.1.0.2")]);
    assert_eq!(node.old_names(), ["10.1.0.3", "10.1.0.4"], "another interface's is another's");
    // Which interface it was, host-local did not note then.
    assert_eq!(ipam.del(&who("old3:net7")).unwrap(), [ip("10.1.0.4")]);
    assert_eq!(node.old_names(), ["10.1.0.3"]);
    assert_eq!(ipam.del(&who("old1:eth0")).unwrap(), [] as [IpAddr; 0]);
    assert_eq!(ipam.store.taken().unwrap(), [ip("10.1.0.3")].into());
}

#[test]
fn a_release_before_the_first_allocation_leaves_nothing_to_import() {
    let node = Switched::new();
    node.give("10.1.0.2", "old1\r\neth0");
    let ipam = node.ipam();
    ipam.check(&who("old1:eth0")).unwrap();
    ipam.del(&who("old1:eth0")).unwrap();
    assert!(matches!(ipam.check(&who("old1:eth0")), Err(Error::NotHeld(_))));
    assert_eq!(node.old_names(), [] as [String; 0]);
    assert_eq!(given(&ipam, &config(&["10.1.0.0/29"]), &who("new1:eth0")), ["10.1.0.2"]);
}

#[test]
fn an_empty_file_was_never_told_to_anybody_and_a_broken_one_is_taken_until_gc() {
    let node = Switched::new();
    node.give("10.1.0.2", "");
    node.give("10.1.0.3", "a/b/c\r\neth0");
    node.give("10.1.0.4", "old\r\neth0");
    let ipam = node.ipam();
    let config = config(&["10.1.0.0/29"]);
    assert_eq!(given(&ipam, &config, &who("a:eth0")), ["10.1.0.2"]);
    assert_eq!(given(&ipam, &config, &who("b:eth0")), ["10.1.0.5"]);
    assert_eq!(ipam.addresses(&who("old:eth0")).unwrap(), [ip("10.1.0.4")], "the rest is imported all the same");
    let errors = ipam.gc(&[who("a:eth0"), who("old:eth0")].into());
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(node.old_names(), ["10.1.0.4"]);
    assert_eq!(ipam.store.taken().unwrap(), [ip("10.1.0.2"), ip("10.1.0.4")].into());
}

#[test]
fn gc_takes_from_both_what_is_not_valid_also_before_the_first_allocation() {
    let node = Switched::new();
    node.give("10.1.0.2", "old1\r\neth0");
    node.give("10.1.0.3", "old2\r\neth0");
    let ipam = node.ipam();
    assert!(ipam.gc(&[who("old2:eth0")].into()).is_empty());
    assert_eq!(node.old_names(), ["10.1.0.3"]);
    assert_eq!(ipam.store.taken().unwrap(), [ip("10.1.0.3")].into());
}

#[test]
fn an_import_is_done_once_and_again_when_something_is_added() {
    let node = Switched::new();
    node.give("10.1.0.2", "old1\r\neth0");
    node.settle();
    let ipam = node.ipam();
    // The lock file is new, so the directory has just changed.
    ipam.import().unwrap();
    assert_eq!(ipam.store.imported(), None, "it could change again within the clock's tick");
    node.settle();
    ipam.import().unwrap();
    let seen = ipam.store.imported();
    assert!(seen.is_some());
    // Whoever tidies up over there does not free what pods here use; what is added there counts.
    fs::remove_file(node.old.join("10.1.0.2")).unwrap();
    node.give("10.1.0.3", "old2\r\neth0");
    assert_eq!(given(&ipam, &config(&["10.1.0.0/29"]), &who("new:eth0")), ["10.1.0.4"]);
    assert_eq!(ipam.addresses(&who("old1:eth0")).unwrap(), [ip("10.1.0.2")]);
    assert_eq!(ipam.addresses(&who("old2:eth0")).unwrap(), [ip("10.1.0.3")]);
}

#[test]
fn an_unchanged_directory_is_not_even_locked() {
    let node = Switched::new();
    node.give("10.1.0.2", "old1\r\neth0");
    fs::write(node.old.join("lock"), "").unwrap();
    node.settle();
    let ipam = node.ipam();
    ipam.import().unwrap();
    let held = HostLocal::lock(&node.old).unwrap();
    ipam.import().unwrap();
    assert_eq!(given(&ipam, &config(&["10.1.0.0/29"]), &who("new:eth0")), ["10.1.0.3"]);
    drop(held);
}

#[test]
fn an_import_killed_anywhere_is_finished_by_the_next() {
    for fuel in 0.. {
        let node = Switched::new();
        node.give("10.1.0.2", "old1\r\neth0");
        node.give("fd00::2", "old1\r\neth0");
        node.give("10.1.0.3", "broken\0");
        node.give("10.1.0.4", "old2\r\neth0");
        node.give("last_reserved_ip.0", "10.1.0.4");
        let ipam = node.ipam();
        let finished = kill_after(fuel, || ipam.import().unwrap()).is_some();
        ipam.import().unwrap();
        let taken = ["10.1.0.2", "10.1.0.3", "10.1.0.4", "fd00::2"];
        assert_eq!(ipam.store.taken().unwrap(), taken.map(ip).into(), "killed before change {fuel}");
        assert_eq!(ipam.store.cursor(0), Some(ip("10.1.0.4")));
        ipam.del(&who("old1:eth0")).unwrap();
        ipam.del(&who("old2:eth0")).unwrap();
        assert!(ipam.gc(&BTreeSet::new()).is_empty());
        assert!(ipam.store.taken().unwrap().is_empty());
        if finished {
            assert!(fuel > 10, "every change of an import is one to be killed before");
            return;
        }
    }
}

#[test]
fn turns_go_on_where_host_local_was() {
    let node = Switched::new();
    node.give("last_reserved_ip.0", "10.1.0.4");
    let ipam = node.ipam();
    assert_eq!(given(&ipam, &config(&["10.1.0.0/29"]), &who("new:eth0")), ["10.1.0.5"]);
}

#[test]
fn the_directory_of_all_networks_is_not_that_of_one() {
    let node = Switched::new();
    node.give("10.1.0.2", "old1\r\neth0");
    let parent = node.old.parent().unwrap();
    let ipam = Ipam::new(&node.new, "net").with_host_local(Some(parent.to_owned()));
    let error = ipam.add(&config(&["10.1.0.0/29"]), &who("new:eth0"), &[]).unwrap_err();
    assert!(error.to_string().starts_with("ipam.hostLocalDir: ") && error.to_string().contains("net"), "{error}");
}

#[test]
fn host_locals_own_directory_cannot_be_our_store() {
    let node = Switched::new();
    node.give("10.1.0.2", "old1\r\neth0");
    let shared = |host_local| Ipam::with_store(Store::new(&node.old)).with_host_local(host_local);
    for host_local in [None, Some(node.old.clone())] {
        let ipam = shared(host_local);
        let error = ipam.add(&config(&["10.1.0.0/29"]), &who("new:eth0"), &[]).unwrap_err();
        assert!(matches!(error, Error::Foreign(_)), "{error}");
        assert!(ipam.gc(&BTreeSet::new()).is_empty());
        assert_eq!(node.old_names(), ["10.1.0.2"], "GC takes nothing of host-local's for its own");
    }
    // Once it is empty, nothing stands against it.
    shared(Some(node.old.clone())).del(&who("old1:eth0")).unwrap();
    let ipam = shared(Some(node.old.clone()));
    let config = config(&["10.1.0.0/29"]);
    assert_eq!(given(&ipam, &config, &who("a:eth0")), ["10.1.0.2"]);
    assert_eq!(given(&ipam, &config, &who("b:eth0")), ["10.1.0.3"]);
    assert!(ipam.gc(&[who("b:eth0")].into()).is_empty());
    assert_eq!(ipam.store.taken().unwrap(), [ip("10.1.0.3")].into());
}

#[test]
fn what_two_have_is_reported_and_stays_whose_it_is_here() {
    let node = Switched::new();
    let ipam = node.ipam();
    assert_eq!(given(&ipam, &config(&["10.1.0.0/29"]), &who("new:eth0")), ["10.1.0.2"]);
    node.give("10.1.0.2", "old\r\neth0");
    ipam.import().unwrap();
    assert_eq!(ipam.addresses(&who("new:eth0")).unwrap(), [ip("10.1.0.2")]);
    assert_eq!(ipam.addresses(&who("old:eth0")).unwrap(), [] as [IpAddr; 0]);
    ipam.del(&who("old:eth0")).unwrap();
    assert_eq!(ipam.addresses(&who("new:eth0")).unwrap(), [ip("10.1.0.2")]);
}
