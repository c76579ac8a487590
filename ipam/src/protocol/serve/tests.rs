use std::cell::RefCell;

use serde_json::json;

use super::*;
use crate::protocol::AddResult;

/// Remembers what it was called with.
#[derive(Default)]
struct Spy {
    calls: RefCell<Vec<String>>,
}

impl Spy {
    fn note(&self, call: String) {
        self.calls.borrow_mut().push(call);
    }
}

impl Plugin for Spy {
    const ABOUT: &'static str = "a spy";

    fn add(&self, request: &Request, target: &Target) -> Result<Added, CniError> {
        self.note(format!("add {} {} {:?}", request.network, target.attachment, target.netns));
        Ok(AddResult::default().into())
    }

    fn del(&self, request: &Request, target: &Target) -> Result<(), CniError> {
        self.note(format!("del {} {} {:?}", request.network, target.attachment, request.args));
        Ok(())
    }

    fn check(&self, _: &Request, target: &Target) -> Result<(), CniError> {
        self.note(format!("check {}", target.attachment));
        Ok(())
    }

    fn gc(&self, _: &Request, valid: &BTreeSet<Attachment>) -> Result<(), CniError> {
        self.note(format!("gc {:?}", valid.iter().map(ToString::to_string).collect::<Vec<_>>()));
        Ok(())
    }

    fn status(&self, _: &Request) -> Result<(), CniError> {
        Err(CniError::new(Code::NotAvailable, "full"))
    }
}

fn call(spy: &Spy, env: &[(&str, &str)], stdin: &str) -> Result<Option<Value>, (Version, u32, String)> {
    let var = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into());
    match answer(spy, var, stdin.as_bytes(), |_, _| ()) {
        Ok(Answer::Document(document)) => Ok(Some(document)),
        Ok(Answer::Nothing) => Ok(None),
        Ok(Answer::About(text)) => Ok(Some(json!(text))),
        Err(Failure { version, error }) => Err((version, error.code.into(), error.to_string())),
    }
}

fn env<'a>(verb: &'a str, args: &'a str) -> [(&'a str, &'a str); 5] {
    [("CNI_COMMAND", verb), ("CNI_CONTAINERID", "c1"), ("CNI_IFNAME", "eth0"), ("CNI_NETNS", "/n"), ("CNI_ARGS", args)]
}

fn conf(version: &str) -> String {
    json!({"cniVersion": version, "name": "net", "type": "x",
        "cni.dev/valid-attachments": [{"containerID": "c1", "ifname": "eth0"}, {"containerID": "/", "ifname": "x"}]})
    .to_string()
}

#[test]
fn verbs_reach_the_plugin() {
    let spy = Spy::default();
    let result = call(&spy, &env("ADD", ""), &conf("0.3.1"));
    assert_eq!(result, Ok(Some(json!({"cniVersion": "0.3.1"}))));
    for verb in ["DEL", "CHECK", "GC"] {
        assert_eq!(call(&spy, &env(verb, ""), &conf("1.1.0")), Ok(None), "{verb}");
    }
    let status = call(&spy, &env("STATUS", ""), &conf("1.1.0"));
    assert_eq!(status, Err((Version::V1_1_0, 50, "full".to_owned())));
    assert_eq!(
        *spy.calls.borrow(),
        ["add net c1:eth0 Some(\"/n\")", "del net c1:eth0 Args([])", "check c1:eth0", "gc [\"c1:eth0\"]"]
    );
}

#[test]
fn versions_are_told_without_a_configuration() {
    let document = call(&Spy::default(), &[("CNI_COMMAND", "VERSION")], "").unwrap().unwrap();
    let versions = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];
    assert_eq!(document, json!({"cniVersion": "1.1.0", "supportedVersions": versions}));
}

#[test]
fn a_person_who_calls_is_told_what_this_is() {
    let text = "a spy\nCNI protocol versions supported: 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0";
    assert_eq!(call(&Spy::default(), &[], ""), Ok(Some(json!(text))));
}

#[test]
fn versions_gate_verbs() {
    let spy = Spy::default();
    let gated = [("CHECK", "0.3.1"), ("CHECK", "0.3.0"), ("GC", "1.0.0"), ("STATUS", "1.0.0"), ("STATUS", "0.3.0")];
    for (verb, version) in gated {
        let (said_in, code, text) = call(&spy, &env(verb, ""), &conf(version)).unwrap_err();
        assert_eq!((said_in.text(), code), (version, 1));
        assert!(text.starts_with(&format!("config version does not allow {verb}: ")), "{text}");
    }
    for version in ["0.1.0", "0.2.0", "2.0.0", "1", ""] {
        let (_, code, text) = call(&spy, &env("ADD", ""), &conf(version)).unwrap_err();
        assert_eq!(code, 1);
        assert!(text.contains(&format!("{version:?}")) && text.contains("1.1.0"), "{text}");
    }
    let (_, code, text) = call(&spy, &env("ADD", ""), r#"{"name": "net"}"#).unwrap_err();
    assert_eq!((code, text.contains("\"0.1.0\"")), (1, true), "{text}");
    assert!(spy.calls.borrow().is_empty());
}

#[test]
fn bad_input_is_refused_by_name() {
    let spy = Spy::default();
    let refused = |stdin: &str| {
        let (_, code, text) = call(&spy, &env("ADD", ""), stdin).unwrap_err();
        (code, text)
    };
    assert_eq!(refused("").0, 6);
    assert_eq!(refused("{\"name\": ").0, 6);
    assert_eq!(refused("[]"), (7, "configuration: must be an object".to_owned()));
    assert_eq!(refused(r#"{"cniVersion": "1.0.0"}"#), (7, "name: is missing".to_owned()));
    assert_eq!(refused(r#"{"cniVersion": 1}"#).0, 7);
    assert!(refused(r#"{"cniVersion": "1.0.0", "name": "a/b"}"#).1.starts_with("name: \"a/b\" must start with"));
    let (_, code, text) = call(&spy, &env("GC", ""), r#"{"cniVersion": "1.1.0", "name": "n"}"#).unwrap_err();
    assert_eq!((code, text.as_str()), (7, "cni.dev/valid-attachments: is missing"));
    assert!(spy.calls.borrow().is_empty());
}

#[test]
fn bad_arguments_stop_add_but_not_del() {
    let spy = Spy::default();
    assert_eq!(call(&spy, &env("ADD", "A=b=c"), &conf("1.0.0")).unwrap_err().1, 4);
    assert_eq!(call(&spy, &env("DEL", "A=b=c"), &conf("1.0.0")), Ok(None));
}

#[test]
fn failing_streams_are_input_errors() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("gone"))
        }
    }
    let var = |name: &str| env("DEL", "").iter().find(|(n, _)| *n == name).map(|(_, value)| value.into());
    assert_eq!(answer(&Spy::default(), var, Broken, |_, _| ()).unwrap_err().error.code, Code::Io);
}
