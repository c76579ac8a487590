//! The CNI runtime, against plugins that write down what they are given and do what they are told.

use std::collections::BTreeMap;

use caracal_lab::{
    Lab, Machine, NetNs, NodeSpec, Site,
    cni::{Attachment, Call, Driver, Error, Network, Verb},
    require_root,
};
use serde_json::{Value, json};

use crate::support::debian_plugin;

/// Notes command, name, environment and standard input of each call in a file of its own, then does what
/// `/etc/fake/<name>.<COMMAND>` says, if there is that. ADD otherwise gives a result with an interface of its own name.
const FAKE: &str = r#"#!/bin/sh
name=${0##*/}
mkdir -p /var/log/fake
call=/var/log/fake/$(ls /var/log/fake | wc -l)
{ echo "$CNI_COMMAND $name"; env | grep ^CNI_ | sort | tr '\n' ' '; echo; cat; } >"$call"
[ ! -e "/etc/fake/$name.$CNI_COMMAND" ] || . "/etc/fake/$name.$CNI_COMMAND"
[ "$CNI_COMMAND" != ADD ] || printf '{"cniVersion":"%s","interfaces":[{"name":"%s"}]}' "${version:-1.1.0}" "$name"
"#;

struct Fakes {
    driver: Driver,
    machine: Machine,
    network: Network,
    attachment: Attachment,
    _netns: NetNs,
    _lab: Lab,
}

#[derive(Debug)]
struct Noted {
    what: String,
    env: String,
    stdin: Value,
}

impl Fakes {
    /// A node with plugins `one` and `two`, chained in this list.
    fn new(more: &Value) -> Self {
        let lab = Lab::builder("fakes").node(NodeSpec::new("n1")).start().unwrap();
        let machine = lab.node("n1").machine().clone();
        // By a process that has ended before the script is run: nobody holds it open for writing.
        for name in ["one", "two"] {
            let install = format!("cat >/opt/cni/bin/{name} && chmod +x /opt/cni/bin/{name}");
            machine.command("sh").args(["-c", &install]).stdin(FAKE).run().unwrap();
        }
        let mut list = json!({
            "cniVersion": "1.1.0", "name": "net",
            "plugins": [{"type": "one", "capabilities": {"mac": true}}, {"type": "two", "key": "value"}],
        });
        list.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let netns = machine.add_netns("a").unwrap();
        let mut attachment = Attachment::new("container-1", "/run/netns/a");
        attachment.args = vec![("A".to_owned(), "1".to_owned()), ("B".to_owned(), "2".to_owned())];
        attachment.capabilities.insert("mac".to_owned(), json!("02:00:00:00:00:01"));
        let network = Network::from_list(&list).unwrap();
        Self { driver: Driver::new(&machine), machine, network, attachment, _netns: netns, _lab: lab }
    }

    /// Tells a plugin what to do.
    fn tell(&self, plugin: &str, verb: Verb, script: &str) {
        self.machine.write_file(format!("/etc/fake/{plugin}.{verb}"), script).unwrap();
    }

    /// What was noted since the last time.
    fn noted(&self) -> Vec<Noted> {
        let script = "cd /var/log/fake 2>/dev/null || exit 0; for n in $(ls | sort -n); do cat $n; echo; done; rm -r /var/log/fake";
        let text = self.machine.run("sh", ["-c", script]).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        let noted = lines.chunks(3).map(|call| Noted {
            what: call[0].to_owned(),
            env: call[1].trim().to_owned(),
            stdin: serde_json::from_str(call[2]).unwrap(),
        });
        noted.collect()
    }

    fn calls(&self) -> Vec<String> {
        self.noted().into_iter().map(|noted| noted.what).collect()
    }
}

#[test]
fn add_calls_in_order_and_passes_the_result_on() {
    if !require_root() {
        return;
    }
    let fakes = Fakes::new(&json!({}));
    let added = fakes.driver.add(&fakes.network, &fakes.attachment).unwrap();
    assert_eq!(added.result["interfaces"][0]["name"], "two", "the last result is that of the list");
    let noted = fakes.noted();
    let [one, two] = noted.as_slice() else { panic!("{noted:?}") };
    assert_eq!((one.what.as_str(), two.what.as_str()), ("ADD one", "ADD two"));
    let env = "CNI_ARGS=A=1;B=2 CNI_COMMAND=ADD CNI_CONTAINERID=container-1 CNI_IFNAME=eth0 CNI_NETNS=/run/netns/a CNI_PATH=/opt/cni/bin";
    assert_eq!((one.env.as_str(), two.env.as_str()), (env, env));
    assert_eq!(
        one.stdin,
        json!({
            "type": "one", "capabilities": {"mac": true}, "name": "net", "cniVersion": "1.1.0",
            "runtimeConfig": {"mac": "02:00:00:00:00:01"},
        })
    );
    assert_eq!(
        two.stdin,
        json!({"type": "two", "key": "value", "name": "net", "cniVersion": "1.1.0", "prevResult": serde_json::from_str::<Value>(&added.runs[0].stdout).unwrap()})
    );
}

#[test]
fn del_calls_in_reverse_with_the_cached_result_and_forgets_it() {
    if !require_root() {
        return;
    }
    let fakes = Fakes::new(&json!({}));
    let added = fakes.driver.add(&fakes.network, &fakes.attachment).unwrap();
    fakes.noted();
    fakes.tell("one", Verb::Del, r#"echo '{"cniVersion":"1.1.0","code":11,"msg":"busy"}'; exit 1"#);
    let error = fakes.driver.del(&fakes.network, &fakes.attachment).unwrap_err();
    assert_eq!(error.plugin_error().map(|error| (error.code, error.msg.as_str())), Some((11, "busy")));

    fakes.tell("one", Verb::Del, "");
    fakes.driver.del(&fakes.network, &fakes.attachment).unwrap();
    let noted = fakes.noted();
    let what: Vec<_> = noted.iter().map(|noted| noted.what.as_str()).collect();
    assert_eq!(what, ["DEL two", "DEL one", "DEL two", "DEL one"], "a failed DEL is repeated as a whole");
    assert!(noted.iter().all(|noted| noted.stdin["prevResult"] == added.result));

    fakes.tell("two", Verb::Del, r#"echo '{"cniVersion":"1.1.0","code":7,"msg":"no"}'; exit 1"#);
    let without_netns = Attachment { netns: None, ..fakes.attachment.clone() };
    fakes.driver.del(&fakes.network, &without_netns).unwrap_err();
    let noted = fakes.noted();
    assert_eq!(noted.len(), 1, "it stops at the first error");
    assert_eq!(noted[0].stdin.get("prevResult"), None, "the result was forgotten");
    assert!(noted[0].env.contains("CNI_NETNS= "), "{}", noted[0].env);
}

#[test]
fn a_failed_add_stops_the_chain_and_is_not_cached() {
    if !require_root() {
        return;
    }
    let fakes = Fakes::new(&json!({}));
    fakes.tell(
        "two",
        Verb::Add,
        r#"echo 'what I think' >&2; echo '{"cniVersion":"1.1.0","code":100,"msg":"mine","details":"d"}'; exit 3"#,
    );
    let error = fakes.driver.add(&fakes.network, &fakes.attachment).unwrap_err();
    let text = error.to_string();
    for part in ["ADD of plugin two", "code 100: mine (d)", "what I think"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(error.run().and_then(|run| run.status.code()), Some(3));
    fakes.driver.del(&fakes.network, &fakes.attachment).unwrap();
    let noted = fakes.noted();
    assert_eq!(noted.len(), 4);
    assert!(noted[2..].iter().all(|noted| noted.stdin.get("prevResult").is_none()), "there is no result of the list");
}

#[test]
fn before_0_4_0_del_has_no_result_and_there_is_no_check() {
    if !require_root() {
        return;
    }
    let fakes = Fakes::new(&json!({"cniVersion": "0.3.1"}));
    fakes.tell("one", Verb::Add, "version=0.3.1");
    fakes.tell("two", Verb::Add, "version=0.3.1");
    fakes.driver.add(&fakes.network, &fakes.attachment).unwrap();
    fakes.driver.del(&fakes.network, &fakes.attachment).unwrap();
    assert!(fakes.noted()[2..].iter().all(|noted| noted.stdin.get("prevResult").is_none()));
    let unsupported = [
        fakes.driver.check(&fakes.network, &fakes.attachment),
        fakes.driver.gc(&fakes.network, &[]),
        fakes.driver.status(&fakes.network),
    ];
    for result in unsupported {
        assert!(matches!(result, Err(Error::Unsupported { .. })), "{result:?}");
    }
    assert!(fakes.noted().is_empty());
}

#[test]
fn check_needs_an_add_and_gives_its_result() {
    if !require_root() {
        return;
    }
    let fakes = Fakes::new(&json!({}));
    let check = |network: &Network| fakes.driver.check(network, &fakes.attachment);
    assert!(matches!(check(&fakes.network), Err(Error::NotAdded { .. })));
    let added = fakes.driver.add(&fakes.network, &fakes.attachment).unwrap();
    fakes.noted();
    check(&fakes.network).unwrap();
    let noted = fakes.noted();
    assert_eq!(noted.iter().map(|noted| noted.what.as_str()).collect::<Vec<_>>(), ["CHECK one", "CHECK two"]);
    assert!(noted.iter().all(|noted| noted.stdin["prevResult"] == added.result));
    let disabled = Network { disable_check: true, ..fakes.network.clone() };
    assert!(check(&disabled).unwrap().is_empty() && fakes.noted().is_empty());
}

#[test]
fn gc_deletes_what_is_not_valid_and_goes_on_after_errors() {
    if !require_root() {
        return;
    }
    let fakes = Fakes::new(&json!({}));
    let stale = Attachment { container_id: "stale".to_owned(), ..fakes.attachment.clone() };
    for attachment in [&fakes.attachment, &stale] {
        fakes.driver.add(&fakes.network, attachment).unwrap();
    }
    fakes.noted();
    for plugin in ["one", "two"] {
        fakes.tell(plugin, Verb::Gc, r#"echo '{"cniVersion":"1.1.0","code":5,"msg":"gc"}'; exit 1"#);
    }
    let valid = std::slice::from_ref(&fakes.attachment);
    let error = fakes.driver.gc(&fakes.network, valid).unwrap_err();
    assert!(matches!(&error, Error::Several(errors) if errors.len() == 2), "{error}");
    let noted = fakes.noted();
    assert_eq!(
        noted.iter().map(|noted| noted.what.as_str()).collect::<Vec<_>>(),
        ["DEL two", "DEL one", "GC one", "GC two"]
    );
    assert!(noted[0].env.contains("CNI_CONTAINERID=stale"));
    assert_eq!(noted[2].stdin["cni.dev/valid-attachments"], json!([{"containerID": "container-1", "ifname": "eth0"}]));
    assert_eq!(noted[2].env, "CNI_COMMAND=GC CNI_PATH=/opt/cni/bin");

    let disabled = Network { disable_gc: true, ..fakes.network.clone() };
    assert!(fakes.driver.gc(&disabled, &[]).unwrap().is_empty() && fakes.noted().is_empty());
}

#[test]
fn status_stops_at_the_first_plugin_that_is_not_ready() {
    if !require_root() {
        return;
    }
    let fakes = Fakes::new(&json!({}));
    fakes.driver.status(&fakes.network).unwrap();
    assert_eq!(fakes.calls(), ["STATUS one", "STATUS two"]);
    fakes.tell("one", Verb::Status, r#"echo '{"cniVersion":"1.1.0","code":50,"msg":"full"}'; exit 1"#);
    let error = fakes.driver.status(&fakes.network).unwrap_err();
    assert_eq!(error.plugin_error().map(|error| error.code), Some(50));
    assert_eq!(fakes.calls(), ["STATUS one"]);
}

#[test]
fn what_breaks_the_specification_is_an_error_of_its_own() {
    if !require_root() {
        return;
    }
    let fakes = Fakes::new(&json!({}));
    for (script, reason) in [
        ("version=1.0.0", "cniVersion of the result"),
        ("echo noise", "not one JSON document"),
        ("exit 1", "without an error object"),
        (r#"echo '{"code":7,"msg":"x"}'; exit 0"#, "ended with status 0"),
        ("kill -9 $$", "signal: 9"),
    ] {
        fakes.tell("one", Verb::Add, script);
        let error = fakes.driver.add(&fakes.network, &fakes.attachment).unwrap_err();
        assert!(matches!(error, Error::Protocol { .. }) && error.to_string().contains(reason), "{script}: {error}");
    }
    fakes.tell("two", Verb::Del, "echo '{}'");
    let error = fakes.driver.del(&fakes.network, &fakes.attachment).unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error}");
}

#[test]
fn names_that_are_not_allowed_reach_no_plugin() {
    if !require_root() {
        return;
    }
    let fakes = Fakes::new(&json!({}));
    for (container_id, ifname) in [("", "eth0"), ("../x", "eth0"), ("a", ""), ("a", "a/b"), ("a", "sixteen-letters-")] {
        let attachment =
            Attachment { container_id: container_id.to_owned(), ifname: ifname.to_owned(), ..fakes.attachment.clone() };
        let error = fakes.driver.add(&fakes.network, &attachment).unwrap_err();
        assert!(matches!(error, Error::Name { .. }), "{error}");
    }
    assert!(fakes.noted().is_empty());
}

#[test]
fn a_raw_call_adds_nothing_and_judges_nothing() {
    if !require_root() {
        return;
    }
    let fakes = Fakes::new(&json!({}));
    let env = BTreeMap::from([
        ("CNI_COMMAND".to_owned(), "NONSENSE".to_owned()),
        ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
    ]);
    fakes.machine.write_file("/etc/fake/one.NONSENSE", "echo out; echo err >&2; exit 9").unwrap();
    let call = Call { plugin: "one".to_owned(), env, stdin: b"[]".to_vec() };
    let run = fakes.driver.call(&call).unwrap();
    assert_eq!((run.status.code(), run.stdout.as_str(), run.stderr.as_str()), (Some(9), "out\n", "err\n"));
    let noted = fakes.noted();
    assert_eq!((noted[0].env.as_str(), &noted[0].stdin), ("CNI_COMMAND=NONSENSE", &json!([])));
}

#[test]
fn a_plugin_of_debian_tells_its_versions() {
    if !require_root() {
        return;
    }
    let lab = Lab::builder("version").node(NodeSpec::new("n1").binaries([debian_plugin("ptp")])).start().unwrap();
    let versions = lab.node("n1").cni().version("ptp").unwrap();
    assert!(versions.iter().any(|version| version == "1.0.0"), "{versions:?}");
}
