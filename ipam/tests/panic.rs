//! A plugin that panics still answers as the specification wants: one error document, exit code 1.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    env,
    process::{Command, Stdio},
};

use caracal_ipam::{
    Attachment,
    protocol::{Added, CniError, Plugin, Request, Target, serve},
};
use serde_json::{Value, json};

struct Panicking;

impl Plugin for Panicking {
    const ABOUT: &'static str = "";

    fn add(&self, _: &Request, _: &Target) -> Result<Added, CniError> {
        panic!("the \"sky\"\nfell");
    }

    fn del(&self, _: &Request, _: &Target) -> Result<(), CniError> {
        std::thread::spawn(|| panic!("elsewhere")).join().unwrap();
        Ok(())
    }

    fn check(&self, _: &Request, _: &Target) -> Result<(), CniError> {
        Ok(())
    }

    fn gc(&self, _: &Request, _: &BTreeSet<Attachment>) -> Result<(), CniError> {
        Ok(())
    }

    fn status(&self, _: &Request) -> Result<(), CniError> {
        Ok(())
    }
}

/// Not a test of its own: what the other one runs in a process apart. Without a runtime's environment it only says what
/// it is.
#[test]
fn child() {
    serve(&Panicking);
}

fn answer(verb: &str, conf: &Value) -> (Value, Option<i32>) {
    #[expect(clippy::disallowed_methods, reason = "a panic hook belongs to a process")]
    let mut command = Command::new(env::current_exe().unwrap());
    let (reader, mut writer) = std::io::pipe().unwrap();
    let child = command
        .args(["--exact", "child", "--nocapture"])
        .envs([("CNI_COMMAND", verb), ("CNI_CONTAINERID", "c"), ("CNI_IFNAME", "eth0"), ("CNI_NETNS", "/n")])
        .stdin(reader)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut writer, conf.to_string().as_bytes()).unwrap();
    drop(writer);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    // The test harness has announced itself before.
    let document = &text[text.find('{').unwrap()..];
    (serde_json::from_str(document).unwrap(), output.status.code())
}

fn conf() -> Value {
    json!({"cniVersion": "1.0.0", "name": "n"})
}

#[test]
fn a_panic_is_an_internal_error() {
    let (document, code) = answer("ADD", &conf());
    assert_eq!((document["code"].as_u64(), document["cniVersion"].as_str(), code), (Some(999), Some("1.1.0"), Some(1)));
    let msg = document["msg"].as_str().unwrap();
    assert!(msg.contains("the \"sky\" fell") && msg.contains("panic.rs:"), "{msg}");
}

#[test]
fn a_panic_of_another_thread_ends_the_process_as_well() {
    let (document, code) = answer("DEL", &conf());
    assert!(document["msg"].as_str().unwrap().contains("elsewhere"), "{document}");
    assert_eq!(code, Some(1));
}

#[test]
fn a_panic_is_logged() {
    let dir = tempfile::tempdir().unwrap();
    let mut conf = conf();
    conf["logFile"] = json!(dir.path().join("cni.log"));
    assert_eq!(answer("ADD", &conf).1, Some(1));
    let text = std::fs::read_to_string(dir.path().join("cni.log")).unwrap();
    assert!(text.contains(" ADD c internal error: ") && text.contains("the \"sky\" fell"), "{text}");
    assert_eq!(text.lines().count(), 1);
}
