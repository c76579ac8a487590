use std::{sync::Barrier, thread};

use super::*;

fn attachment() -> Attachment {
    Attachment::new("c1", "eth0").unwrap()
}

fn record() -> Record {
    Record { host_ifname: "cc0".to_owned(), ..Record::default() }
}

fn begin(dir: &Path) -> RecordFile {
    match RecordFile::begin(dir, &attachment(), record()).unwrap() {
        Begun::New(file) => file,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_last_whole_line_counts() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("deep/net");
    let mut file = begin(&dir);
    file.update(|record| record.host_ifindex = Some(7)).unwrap();
    file.update(|record| record.addresses = vec!["10.0.0.1".parse().unwrap()]).unwrap();
    drop(file);
    let read = RecordFile::open(&dir, &attachment()).unwrap().unwrap();
    let expected = Record { host_ifindex: Some(7), addresses: vec!["10.0.0.1".parse().unwrap()], ..record() };
    assert_eq!(*read.record(), expected);
    drop(read);
    let path = dir.join("c1:eth0");
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 3);
    fs::write(&path, &text[..text.len() - 5]).unwrap();
    let read = RecordFile::open(&dir, &attachment()).unwrap().unwrap();
    assert_eq!(*read.record(), Record { host_ifindex: Some(7), ..record() });
    assert_eq!(RecordFile::list(&dir).unwrap(), [attachment()]);
    read.remove().unwrap();
    assert!(RecordFile::open(&dir, &attachment()).unwrap().is_none());
    assert_eq!(RecordFile::list(&dir).unwrap(), []);
}

#[test]
fn the_living_are_busy_and_the_dead_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let file = begin(dir.path());
    assert!(matches!(RecordFile::begin(dir.path(), &attachment(), record()).unwrap(), Begun::Busy));
    assert!(RecordFile::try_open(dir.path(), &attachment()).unwrap().is_none());
    drop(file);
    assert_eq!(*RecordFile::try_open(dir.path(), &attachment()).unwrap().unwrap().record(), record());
    let Begun::Existing(found) = RecordFile::begin(dir.path(), &attachment(), Record::default()).unwrap() else {
        panic!("it was there");
    };
    assert_eq!(*found.record(), record());
}

#[test]
fn an_empty_file_is_a_record_that_knows_nothing() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("c1:eth0"), "").unwrap();
    let read = RecordFile::open(dir.path(), &attachment()).unwrap().unwrap();
    assert_eq!(*read.record(), Record::default());
}

#[test]
fn of_many_who_begin_at_once_one_is_new() {
    const THREADS: usize = 8;
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..50 {
        let barrier = Barrier::new(THREADS);
        let begin = || {
            barrier.wait();
            let begun = RecordFile::begin(dir.path(), &attachment(), record()).unwrap();
            // Nobody lets go before everybody has tried.
            barrier.wait();
            matches!(begun, Begun::New(_))
        };
        let new = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(begin)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).filter(|new| *new).count()
        });
        assert_eq!(new, 1);
        RecordFile::open(dir.path(), &attachment()).unwrap().unwrap().remove().unwrap();
    }
}
