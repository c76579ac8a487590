use std::{sync::Barrier, thread};

use tempfile::TempDir;

use super::*;

fn rotation(dir: &TempDir, max_bytes: u64, max_count: u64) -> Rotation {
    Rotation { path: dir.path().join("deep/cni.log"), max_bytes, max_age_secs: None, max_count }
}

/// The file and the old ones, youngest first.
fn texts(rotation: &Rotation) -> Vec<String> {
    let old = (1..).map(|number| numbered(&rotation.path, number));
    let paths = [rotation.path.clone()].into_iter().chain(old);
    paths.map_while(|path| fs::read_to_string(path).ok()).collect()
}

#[test]
fn a_full_file_is_put_aside_and_the_oldest_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let rotation = rotation(&dir, 8, 2);
    let mut log = LogFile::open(rotation.clone()).unwrap();
    for line in ["1aa\n", "2aa\n", "3aa\n", "4aa\n", "5aa\n", "6aa\n", "7aa\n"] {
        log.write_all(line.as_bytes()).unwrap();
    }
    assert_eq!(texts(&rotation), ["7aa\n", "5aa\n6aa\n", "3aa\n4aa\n"]);
    let mode = fs::metadata(&rotation.path).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
    // A line that fits nowhere is written all the same.
    log.write_all(b"a long line\n").unwrap();
    assert_eq!(texts(&rotation), ["a long line\n", "7aa\n", "5aa\n6aa\n"]);
}

#[test]
fn fewer_old_files_are_kept_when_fewer_shall_be() {
    let dir = tempfile::tempdir().unwrap();
    for (max_count, kept) in [(4, 5), (2, 3), (0, 1)] {
        let rotation = rotation(&dir, 1, max_count);
        let mut log = LogFile::open(rotation.clone()).unwrap();
        for _ in 0..8 {
            log.write_all(b"x\n").unwrap();
        }
        assert_eq!(texts(&rotation).len(), kept);
    }
}

#[test]
fn old_files_go_when_their_time_has_come() {
    let dir = tempfile::tempdir().unwrap();
    let rotation = Rotation { max_age_secs: Some(3600), ..rotation(&dir, 1, 5) };
    let mut log = LogFile::open(rotation.clone()).unwrap();
    for _ in 0..4 {
        log.write_all(b"x\n").unwrap();
    }
    let long_ago = SystemTime::now() - Duration::from_secs(7200);
    for number in [2, 3] {
        File::options().append(true).open(numbered(&rotation.path, number)).unwrap().set_modified(long_ago).unwrap();
    }
    LogFile::open(rotation.clone()).unwrap();
    assert_eq!(texts(&rotation).len(), 2);
}

#[test]
fn a_file_that_was_taken_away_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let rotation = rotation(&dir, 1000, 2);
    let mut log = LogFile::open(rotation.clone()).unwrap();
    log.write_all(b"1\n").unwrap();
    fs::rename(&rotation.path, dir.path().join("logrotate-was-here")).unwrap();
    log.write_all(b"2\n").unwrap();
    assert_eq!(texts(&rotation), ["2\n"]);
}

#[test]
fn a_place_where_no_file_can_be_is_said() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("deep"), "").unwrap();
    let said = LogFile::open(rotation(&dir, 1, 1)).unwrap_err();
    assert!(said.starts_with("logFile: ") && said.ends_with("nothing is logged to a file"), "{said}");
}

#[test]
fn many_who_write_and_rotate_at_once_lose_no_line() {
    const WRITERS: usize = 8;
    const LINES: usize = 120;
    let dir = tempfile::tempdir().unwrap();
    let rotation = rotation(&dir, 400, 10_000);
    let barrier = Barrier::new(WRITERS);
    let work = |writer: usize| {
        barrier.wait();
        for line in 0..LINES {
            // As a process does that lives for one call.
            let mut log = LogFile::open(rotation.clone()).unwrap();
            log.write_all(format!("{writer} {line} {}\n", "x".repeat(line % 40)).as_bytes()).unwrap();
        }
    };
    let work = &work;
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            scope.spawn(move || work(writer));
        }
    });
    let texts = texts(&rotation);
    assert!(texts.len() > 40, "it was rotated {} times", texts.len());
    let mut seen = vec![vec![0; LINES]; WRITERS];
    for line in texts.iter().flat_map(|text| text.lines()) {
        let parts: Vec<_> = line.split(' ').collect();
        let (writer, number, rest): (usize, usize, _) =
            (parts[0].parse().unwrap(), parts[1].parse().unwrap(), parts[2]);
        assert_eq!(rest.len(), number % 40, "{line}");
        seen[writer][number] += 1;
    }
    assert_eq!(seen, vec![vec![1; LINES]; WRITERS]);
}
