//! `caracal-lab` as a person uses it.

use std::{fs, path::Path, process::Output};

use caracal_lab::require_root;

use crate::support::{caracal_lab, debian_plugin};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/two-nodes.yaml");

fn output(args: &[&str]) -> Output {
    caracal_lab().args(args).output().unwrap()
}

/// What it prints when it succeeds.
fn good(args: &[&str]) -> String {
    let Output { status, stdout, stderr } = output(args);
    assert!(status.success(), "{args:?}: {status}\n{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// What it complains about when it fails.
fn bad(args: &[&str]) -> String {
    let Output { status, stderr, .. } = output(args);
    assert_eq!(status.code(), Some(1), "{args:?}");
    String::from_utf8(stderr).unwrap()
}

/// A lab that is up, until this is dropped.
struct Up(String);

impl Up {
    fn new(name: &str, file: &str) -> Self {
        let name = format!("{name}-{}", std::process::id());
        let said = good(&["up", "--name", &name, file]);
        assert!(said.contains(&format!("lab {name} is up")) && said.contains("caracal-lab exec"), "{said}");
        Self(name)
    }

    fn exec(&self, command: &[&str]) -> Output {
        output(&[&["exec", "--name", &self.0], command].concat())
    }

    fn good(&self, command: &[&str]) -> String {
        good(&[&["exec", "--name", &self.0], command].concat())
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = output(&["down", &self.0]);
    }
}

#[test]
fn the_example_comes_up_stays_and_goes() {
    if !require_root() {
        return;
    }
    debian_plugin("bridge");
    let lab = Up::new("example", EXAMPLE);
    let name = lab.0.as_str();
    let listed = good(&["list"]);
    let ours: Vec<&str> =
        listed.lines().skip_while(|line| line != &name).skip(1).take_while(|line| line.starts_with(' ')).collect();
    let described: Vec<Vec<&str>> = ours.iter().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        described,
        [
            vec!["lan", "lan"],
            vec!["n1", "node", "172.31.0.11", "fd00:1ab::11"],
            vec!["n1/a", "pod", "10.244.1.2", "fd00:10:244:1::2"],
            vec!["n2", "node", "172.31.0.12", "fd00:1ab::12"],
            vec!["n2/b", "pod", "10.244.2.2", "fd00:10:244:2::2"],
            vec!["c1", "client", "172.31.0.101", "fd00:1ab::101"],
        ]
    );
    assert_eq!(lab.good(&["n2", "--", "hostname"]), "n2\n");
    assert!(lab.good(&["n1/a", "--", "ip", "-br", "addr", "show", "eth0"]).contains("10.244.1.2"));
    assert!(lab.good(&["c1", "--", "ping", "-c", "1", "-W", "5", "10.244.2.2"]).contains("1 received"));
    let servers = lab.good(&["n2", "--", "cat", "/var/log/lab/serve-n2-b.log"]);
    assert_eq!(servers, "serving n2/b\n");
    assert!(lab.good(&["n1", "--", "ls", "/var/log/lab"]).contains("start-1.log"));

    let again = bad(&["up", "--name", name, EXAMPLE]);
    assert!(again.contains("is there already"), "{again}");
    assert_eq!(good(&["down", name]), "");
    assert!(!Path::new("/run/caracal-lab").join(name).exists());
    assert!(!good(&["list"]).contains(name));
    let gone = bad(&["exec", "--name", name, "n1", "--", "true"]);
    assert!(gone.contains("no lab named") && gone.contains(name), "{gone}");
}

#[test]
fn exec_passes_on_status_signals_and_a_clean_signal_mask() {
    if !require_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lab.yaml");
    fs::write(&file, "name: x\nnodes: [{name: n1}]\n").unwrap();
    let lab = Up::new("exec", file.to_str().unwrap());
    assert_eq!(lab.exec(&["n1", "--", "sh", "-c", "exit 7"]).status.code(), Some(7));
    assert_eq!(lab.exec(&["n1", "--", "sh", "-c", "kill -9 $$"]).status.code(), Some(128 + 9));
    assert_eq!(lab.good(&["n1", "--", "grep", "SigBlk", "/proc/self/status"]).trim(), "SigBlk:\t0000000000000000");
    let unknown = String::from_utf8(lab.exec(&["n9", "--", "true"]).stderr).unwrap();
    assert!(unknown.contains("has no `n9`, but lan, n1"), "{unknown}");
    let no_pod = String::from_utf8(lab.exec(&["n1/p", "--", "true"]).stderr).unwrap();
    assert!(no_pod.contains("opening network namespace p of n1"), "{no_pod}");
}

#[test]
fn a_lab_that_cannot_be_made_says_why_and_leaves_nothing() {
    if !require_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lab.yaml");
    let name = format!("unmade-{}", std::process::id());
    let up = |yaml: &str| {
        fs::write(&file, yaml).unwrap();
        bad(&["up", "--name", &name, file.to_str().unwrap()])
    };
    let typo = up("name: x\nnodes:\n- name: n1\n  adresses: []\n");
    assert!(typo.contains("lab.yaml") && typo.contains("`adresses`") && typo.contains("line 4"), "{typo}");
    let binary = up("name: x\nbinaries: [no-such-binary]\nnodes: [{name: n1}]\n");
    assert!(binary.contains("no-such-binary") && binary.contains("cargo build"), "{binary}");
    let pod = up("name: x\nnodes: [{name: n1}]\npods: [{name: a, node: n1}]\n");
    assert!(pod.contains("making pod n1/a") && pod.contains("no network configuration"), "{pod}");
    let start = up("name: x\nnodes: [{name: n1, start: [\"${nonsense}\"]}]\n");
    assert!(start.contains("nodes.n1.start") && start.contains("nonsense"), "{start}");
    assert!(!good(&["list"]).contains(&name));
    assert!(!Path::new("/run/caracal-lab").join(&name).exists());
    let down = bad(&["down", &name]);
    assert!(down.contains(&format!("no lab named `{name}` is up")), "{down}");
}

#[test]
fn help_and_example_need_no_lab() {
    let help = good(&["--help"]);
    for word in ["up", "exec", "list", "down", "example", "serve"] {
        assert!(help.contains(word), "{help}");
    }
    assert!(!help.contains("keeper") && !help.contains("roundtrip"), "what people do not call is not shown: {help}");
    assert_eq!(good(&["example"]), fs::read_to_string(EXAMPLE).unwrap());
}
