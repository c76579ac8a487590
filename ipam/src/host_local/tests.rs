use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn who(text: &str) -> Attachment {
    text.parse().unwrap()
}

#[test]
fn files_name_their_owner_as_every_host_local_wrote_it() {
    assert_eq!(Owner::read("c1\r\neth0"), Owner::Attachment(who("c1:eth0")));
    assert_eq!(Owner::read(" c1 \r\nnet1\r\n"), Owner::Attachment(who("c1:net1")));
    assert_eq!(Owner::read("c1\neth0\n"), Owner::Attachment(who("c1:eth0")));
    assert_eq!(Owner::read("c1"), Owner::Container(who("c1:eth0")));
    for empty in ["", " ", "\r\n"] {
        assert_eq!(Owner::read(empty), Owner::Nobody);
    }
    for unclear in ["c1\r\neth0\r\nmore", "a/b\r\neth0", "c1\r\nsixteen-bytes-xx", "c1:eth0\n10.0.0.1", "\0\0\0"] {
        assert!(matches!(Owner::read(unclear), Owner::Unclear(_)), "{unclear:?}");
    }
}

#[test]
fn a_directory_is_read_whole_and_what_is_no_address_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    assert!(HostLocal::lock(&dir.path().join("nothing")).unwrap().is_none());
    for (name, text) in [
        ("10.1.0.9", "c1\r\neth0"),
        ("10.1.0.10", "c2"),
        ("fd00::9", "c1\r\neth0"),
        ("last_reserved_ip.0", "10.1.0.10"),
        ("last_reserved_ip.1", "fd00::9"),
        ("last_reserved_ip.x", "10.1.0.10"),
        ("last_reserved_ip.2", "nonsense"),
        ("notes.txt", "c3"),
    ] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    fs::create_dir(dir.path().join("10.1.0.11")).unwrap();
    let locked = HostLocal::lock(dir.path()).unwrap().unwrap();
    let leases = locked.leases().unwrap();
    let owners: Vec<_> = leases.iter().map(|lease| (lease.ip, lease.owner.clone())).collect();
    assert_eq!(owners[0], (ip("10.1.0.9"), Owner::Attachment(who("c1:eth0"))));
    assert_eq!(owners[1], (ip("10.1.0.10"), Owner::Container(who("c2:eth0"))));
    assert!(matches!(&owners[2], (address, Owner::Unclear(_)) if *address == ip("10.1.0.11")));
    assert_eq!(owners[3], (ip("fd00::9"), Owner::Attachment(who("c1:eth0"))));
    assert_eq!(owners.len(), 4);
    let mut last = locked.last_reserved().unwrap();
    last.sort();
    assert_eq!(last, [(0, ip("10.1.0.10")), (1, ip("fd00::9"))]);
    let of = |text: &str| {
        let leases = HostLocal::leases_of(leases.clone(), &who(text));
        leases.iter().map(|lease| lease.ip.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(of("c1:eth0"), ["10.1.0.9", "fd00::9"]);
    assert_eq!(of("c1:net1"), [] as [String; 0], "its interface is known to be another");
    assert_eq!(of("c2:net1"), ["10.1.0.10"]);
}

#[test]
fn the_lock_keeps_host_local_out() {
    let dir = tempfile::tempdir().unwrap();
    let locked = HostLocal::lock(dir.path()).unwrap().unwrap();
    let other = File::open(dir.path().join("lock")).unwrap();
    assert!(other.try_lock().is_err());
    drop(locked);
    other.try_lock().unwrap();
}
