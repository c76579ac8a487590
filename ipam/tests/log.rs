//! The log file that a configuration names, written by real processes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, fs, path::Path};

use binary::{answer, start};
use serde_json::{Value, json};

#[path = "support/binary.rs"]
mod binary;

fn conf(dir: &Path, log_file: &Path) -> Value {
    json!({
        "cniVersion": "1.0.0", "name": "net", "logFile": log_file, "logLevel": "info",
        "ipam": {"type": "caracal-ipam", "dataDir": dir, "hostLocalDir": "", "subnet": "10.1.0.0/16"},
    })
}

#[test]
fn a_line_tells_when_who_what_and_for_whom() {
    let dir = tempfile::tempdir().unwrap();
    let log_file = dir.path().join("log/cni.log");
    let mut conf = conf(dir.path(), &log_file);
    let child = start("ADD", "c1", "eth0", "", &conf);
    let pid = child.id().to_string();
    assert_eq!(answer(child).exit, 0);
    assert_eq!(answer(start("ADD", "c1", "eth0", "", &conf)).document["code"], 100);
    conf["logLevel"] = json!("error");
    assert_eq!(answer(start("DEL", "c1", "eth0", "", &conf)).exit, 0);
    let text = fs::read_to_string(&log_file).unwrap();
    let lines: Vec<Vec<_>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0][0].starts_with("20") && lines[0][0].ends_with('Z'), "{text}");
    assert_eq!(lines[0][1..7], ["INFO", &pid, "ADD", "c1", "done", "in"]);
    assert_eq!(lines[1][1], "ERROR");
    assert_eq!(
        lines[1][3..],
        "ADD c1 c1:eth0 has addresses already; a second ADD needs a DEL before it".split(' ').collect::<Vec<_>>()
    );
}

#[test]
fn a_log_file_that_cannot_be_costs_no_pod() {
    let dir = tempfile::tempdir().unwrap();
    for (log_file, said) in [
        (json!("/proc/nothing/cni.log"), "logFile: /proc/nothing/cni.log: "),
        (json!(dir.path()), "logFile: "),
        (json!("cni.log"), "logFile: \"cni.log\" must be an absolute path"),
        (json!({"path": "/x"}), "logFile: invalid type"),
    ] {
        let mut conf = conf(dir.path(), dir.path());
        conf["logFile"] = log_file;
        for verb in ["ADD", "DEL"] {
            let answer = answer(start(verb, "c1", "eth0", "", &conf));
            assert_eq!(answer.exit, 0, "{answer:?}");
            assert!(answer.stderr.contains(said), "{}", answer.stderr);
        }
    }
}

#[test]
fn processes_that_write_and_rotate_at_once_lose_no_line() {
    const AT_ONCE: usize = 16;
    const ROUNDS: usize = 5;
    let dir = tempfile::tempdir().unwrap();
    let log_file = dir.path().join("cni.log");
    let mut conf = conf(dir.path(), &log_file);
    // The configuration is logged too, and so a megabyte is full after some calls.
    conf["log_level"] = json!("debug");
    conf["logLevel"] = Value::Null;
    conf["log_file_max_size"] = json!(1);
    conf["log_file_max_count"] = json!(100);
    conf["padding"] = json!("x".repeat(40_000));
    let mut expected = BTreeSet::new();
    for round in 0..ROUNDS {
        let names: Vec<_> = (0..AT_ONCE).map(|i| format!("c{round}-{i}")).collect();
        let running: Vec<_> = names.iter().map(|name| start("ADD", name, "eth0", "", &conf)).collect();
        for child in running {
            assert_eq!(answer(child).exit, 0);
        }
        expected.extend(names);
    }
    let mut files = 0;
    let mut done = BTreeSet::new();
    for path in fs::read_dir(dir.path()).unwrap().map(|item| item.unwrap().path()).filter(|path| path.is_file()) {
        files += 1;
        let text = fs::read_to_string(path).unwrap();
        // Everybody may have seen room for one more line at the same time.
        assert!(text.len() < (1 << 20) + AT_ONCE * 41_000, "{} bytes", text.len());
        for line in text.lines() {
            let words: Vec<_> = line.splitn(6, ' ').map(str::trim).filter(|word| !word.is_empty()).collect();
            assert!(words[0].ends_with('Z') && matches!(words[1], "INFO" | "DEBUG"), "{}", &line[..80]);
            if line.contains(" done in ") {
                assert!(done.insert(line.split_whitespace().nth(4).unwrap().to_owned()), "{line}");
            } else {
                assert!(line.ends_with('}'), "a line was cut off");
            }
        }
    }
    assert!(files > 2, "it was never full");
    assert_eq!(done, expected);
}
