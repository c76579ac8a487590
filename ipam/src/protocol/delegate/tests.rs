use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::json;

use super::*;
use crate::protocol::{Args, Version};

/// A request whose `CNI_PATH` is `dir`.
fn request(dir: &Path) -> Request {
    let conf = json!({"cniVersion": "0.4.0", "name": "net", "ipam": {"type": "other"}, "unknown": [1]});
    let path = vec!["/nowhere".into(), dir.to_owned()];
    Request { version: Version::V0_4_0, network: "net".to_owned(), conf, args: Args::default(), path }
}

/// A plugin that is this shell script.
fn plugin(script: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

fn add(script: &str) -> Result<AddResult, (u32, String)> {
    let dir = plugin(script);
    let request = request(dir.path());
    let result = Delegate::find(&request, "other").unwrap().add();
    result.map_err(|error| (error.code.into(), error.to_string()))
}

#[test]
fn what_is_not_there_is_named_with_where_it_was_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    let request = request(dir.path());
    let error = Delegate::find(&request, "other").unwrap_err();
    let expected = format!("ipam.type: there is no plugin \"other\" in CNI_PATH (/nowhere:{})", dir.path().display());
    assert_eq!((u32::from(error.code), error.msg), (7, expected));
    for kind in ["", ".", "..", "../other", "/bin/sh"] {
        let error = Delegate::find(&request, kind).unwrap_err();
        assert_eq!(error.msg, format!("ipam.type: {kind:?} is not the name of a plugin"));
    }
}

#[test]
fn it_gets_the_whole_configuration_and_the_verb() {
    let dir = plugin("cat >\"$0.stdin\"; echo \"$CNI_COMMAND\" >\"$0.verb\"");
    let request = request(dir.path());
    let delegate = Delegate::find(&request, "other").unwrap();
    for verb in [Verb::Check, Verb::Gc, Verb::Status] {
        delegate.call(verb).unwrap();
        let read = |suffix: &str| fs::read_to_string(dir.path().join(format!("other.{suffix}"))).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&read("stdin")).unwrap(), request.conf);
        assert_eq!(read("verb").trim(), verb.text());
    }
}

#[test]
fn the_attachment_to_give_back_is_the_one_that_is_named() {
    let dir = plugin("echo \"$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME\" >\"$0.said\"");
    let request = request(dir.path());
    let attachment = Attachment::new("c7", "net3").unwrap();
    Delegate::find(&request, "other").unwrap().del(&attachment).unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("other.said")).unwrap(), "DEL c7 net3\n");
}

#[test]
fn results_of_any_version_are_read() {
    let old = r#"echo '{"cniVersion": "0.3.1", "ips": [{"version": "4", "address": "10.0.0.2/24", "gateway": "10.0.0.1"},
        {"version": "4", "address": "10.0.0.3/24"}], "routes": null, "dns": {}}'"#;
    let addresses: Vec<_> = add(old).unwrap().ips.iter().map(|ip| ip.address.to_string()).collect();
    assert_eq!(addresses, ["10.0.0.2/24", "10.0.0.3/24"]);
    let new = r#"echo '{"cniVersion": "1.1.0", "ips": [{"address": "fd00::2/64"}],
        "routes": [{"dst": "::/0", "mtu": 1400, "more": 1}], "dns": {"nameservers": ["fd00::a"]}}'"#;
    let result = add(new).unwrap();
    assert_eq!((result.routes[0].mtu, result.dns.nameservers), (Some(1400), vec!["fd00::a".to_owned()]));
}

#[test]
fn its_errors_are_passed_on_under_their_own_code() {
    let said = r#"echo '{"cniVersion": "0.4.0", "code": 11, "msg": "try later", "details": "no lease yet"}'; exit 1"#;
    assert_eq!(add(said).unwrap_err(), (11, "IPAM plugin other, ADD: try later: no lease yet".to_owned()));
    assert_eq!(add("exit 3").unwrap_err(), (106, "IPAM plugin other, ADD: exit status: 3".to_owned()));
    let error = add("echo '{\"code\": 0}'; kill -9 $$").unwrap_err();
    assert_eq!(error, (106, "IPAM plugin other, ADD: signal: 9 (SIGKILL)".to_owned()));
}

#[test]
fn answers_that_make_no_sense_are_errors_that_name_it() {
    for (script, reason) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        ("echo '{}'", "it gave no address"),
        ("echo '[1]'", "invalid type"),
        (r#"echo '{"ips": [{"address": "10.0.0.300/24"}]}'"#, "invalid address"),
    ] {
        let (code, text) = add(script).unwrap_err();
        assert_eq!(code, 106, "{script}");
        assert!(text.starts_with("IPAM plugin other, ADD: ") && text.contains(reason), "{text}");
    }
}

#[test]
fn a_program_that_is_being_written_is_waited_for() {
    let dir = plugin("exit 0");
    let request = request(dir.path());
    let delegate = Delegate::find(&request, "other").unwrap();
    let writer = fs::OpenOptions::new().append(true).open(delegate.binary()).unwrap();
    let error = delegate.call(Verb::Del).unwrap_err();
    assert_eq!(u32::from(error.code), 106);
    assert!(error.msg.ends_with("Text file busy (os error 26)"), "{error}");
    thread::scope(|scope| {
        let call = scope.spawn(|| delegate.call(Verb::Del));
        #[expect(clippy::disallowed_methods, reason = "the writer is done while the call waits; nothing tells when")]
        thread::sleep(BUSY_WAIT);
        drop(writer);
        call.join().unwrap().unwrap();
    });
}
