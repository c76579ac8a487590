//! Single calls, right and wrong: versions, environment, standard input, error codes, and what goes to which stream.

use caracal_cni_suite::{Cell, rows};
use caracal_lab::{Site as _, cni::Run};
use serde_json::{Value, json};

rows! {
    version_names_all: all, [driver];
    no_command_is_a_person_asking: all, [driver];
    code_1_unknown_versions: all, [driver, cnitool, rust_cni];
    code_1_verbs_before_their_time: all, [driver];
    code_4_every_missing_variable_is_named: all, [driver];
    code_4_names_that_are_none: all, [driver];
    code_4_unknown_command: all, [driver];
    code_6_what_is_no_json: all, [driver];
    code_7_configurations_that_make_no_sense: all, [driver];
    code_7_by_any_runtime: all, [driver, cnitool, rust_cni];
    code_8_the_runtimes_own_namespace: all, [driver];
    unknown_environment_is_ignored: all, [driver];
    unknown_keys_are_ignored: all, [driver, cnitool, rust_cni];
    logs_go_to_standard_error: all, [driver, cnitool, rust_cni];
}

const SUBNET: &str = "10.1.0.0/24";

/// A plugin's configuration, as the runtime makes it of a list.
fn conf(cell: &Cell) -> Value {
    let list = cell.primary(&[SUBNET]);
    let mut conf = list["plugins"][0].clone();
    conf["cniVersion"] = list["cniVersion"].clone();
    conf["name"] = list["name"].clone();
    conf
}

/// The one error object that a failed call must have printed, in the configuration's version.
#[track_caller]
fn error_of(cell: &Cell, run: &Run) -> (u64, String) {
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    let error: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("{e}: {run:?}"));
    // What is wrong with environment or encoding is known before the configuration's version is.
    let code = error["code"].as_u64().unwrap();
    assert_eq!(error["cniVersion"], if code < 7 { "1.1.0" } else { cell.version.as_str() }, "{error}");
    let details = error["details"].as_str().unwrap_or_default();
    (code, format!("{} {details}", error["msg"].as_str().unwrap()))
}

/// The same of a call whose error is told in whatever version.
fn refusal_of(run: &Run) -> (u64, String) {
    let error: Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(!run.status.success());
    (error["code"].as_u64().unwrap(), error["msg"].as_str().unwrap().to_owned())
}

const CONTAINER: [(&str, &str); 3] =
    [("CNI_CONTAINERID", "id-a"), ("CNI_NETNS", "/run/netns/nothing"), ("CNI_IFNAME", "eth0")];

fn version_names_all(cell: &Cell) {
    let asked = json!({"cniVersion": cell.version}).to_string();
    for (stdin, env) in [("", &[][..]), (&asked, &CONTAINER[..])] {
        let run = cell.call("VERSION", env, stdin);
        let answer: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(answer["cniVersion"], "1.1.0");
        assert!(answer["supportedVersions"].as_array().unwrap().contains(&json!(cell.version)), "{answer}");
        assert!(run.status.success());
    }
    let versions = cell.node().cni().version("caracal-ipam").unwrap();
    assert!(versions.contains(&cell.version), "{versions:?}");
}

fn no_command_is_a_person_asking(cell: &Cell) {
    let run = cell.call("", &[], "");
    assert!(run.status.success() && run.stdout.is_empty(), "{run:?}");
    assert!(run.stderr.contains(&cell.version), "{}", run.stderr);
}

fn code_1_unknown_versions(cell: &Cell) {
    let mut list = cell.primary(&[SUBNET]);
    let a = cell.container("a");
    for version in ["0.2.0", "2.0.0"] {
        // Runtimes look at versions too, and most have no word for one that they do not know. The plugin must.
        let mut conf = conf(cell);
        conf["cniVersion"] = json!(version);
        let run = cell.call("ADD", &CONTAINER, &conf.to_string());
        let (code, said) = error_of(cell, &run);
        assert_eq!(code, 1, "{said}");
        assert!(
            said.contains(version) && said.contains(&cell.version),
            "names what is wanted and what there is: {said}"
        );
        list["cniVersion"] = json!(version);
        let refused = cell.try_add(&list, &a).unwrap_err();
        assert!(!refused.text.is_empty());
    }
    cell.is_clean();
}

fn code_1_verbs_before_their_time(cell: &Cell) {
    for (verb, since) in [("CHECK", "0.4.0"), ("GC", "1.1.0"), ("STATUS", "1.1.0")] {
        let run = cell.call(verb, &CONTAINER, &conf(cell).to_string());
        if !cell.since(since) {
            let (code, said) = refusal_of(&run);
            assert_eq!(code, 1, "{said}");
            assert!(said.contains(&format!("config version does not allow {verb}")), "{said}");
        } else if verb == "STATUS" {
            assert!(run.status.success(), "{run:?}");
        } else {
            assert_ne!(error_of(cell, &run).0, 1);
        }
    }
}

fn code_4_every_missing_variable_is_named(cell: &Cell) {
    let stdin = conf(cell).to_string();
    let missing = |verb: &str, env: &[(&str, &str)]| error_of(cell, &cell.call(verb, env, &stdin));
    for (verb, names) in [
        ("ADD", &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"][..]),
        ("DEL", &["CNI_CONTAINERID", "CNI_IFNAME"]),
        ("CHECK", &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"]),
    ] {
        let (code, said) = missing(verb, &[]);
        assert_eq!(code, 4, "{verb}: {said}");
        assert!(names.iter().all(|name| said.contains(name)), "{verb}: {said}");
        assert_eq!(said.contains("CNI_NETNS"), names.contains(&"CNI_NETNS"), "{verb}: {said}");
        for name in names {
            let others: Vec<_> = CONTAINER.into_iter().filter(|(n, _)| n != name).collect();
            let (code, said) = missing(verb, &others);
            assert_eq!((code, said.contains(name)), (4, true), "{verb}: {said}");
        }
    }
}

fn code_4_names_that_are_none(cell: &Cell) {
    let stdin = conf(cell).to_string();
    let bad_ids = ["-a", ".a", "a/b", "a b", "ä", "a:b"].map(|id| ("CNI_CONTAINERID", id));
    let bad_names = [".", "..", "a/b", "a:b", "a b", "sixteen-letters-"].map(|name| ("CNI_IFNAME", name));
    for bad in bad_ids.into_iter().chain(bad_names) {
        for verb in ["ADD", "DEL"] {
            let env: Vec<_> = CONTAINER.into_iter().chain([bad]).collect();
            let (code, said) = error_of(cell, &cell.call(verb, &env, &stdin));
            assert_eq!((code, said.contains(bad.0)), (4, true), "{bad:?}: {said}");
        }
    }
}

fn code_4_unknown_command(cell: &Cell) {
    for verb in ["add", "RESTART"] {
        let (code, said) = error_of(cell, &cell.call(verb, &CONTAINER, &conf(cell).to_string()));
        assert_eq!((code, said.contains(verb)), (4, true), "{said}");
    }
}

fn code_6_what_is_no_json(cell: &Cell) {
    let half = conf(cell).to_string();
    for stdin in ["", "{", "hello", half.trim_end_matches('}')] {
        let (code, said) = error_of(cell, &cell.call("ADD", &CONTAINER, stdin));
        assert_eq!((code, said.contains("standard input")), (6, true), "{said}");
    }
}

fn code_7_configurations_that_make_no_sense(cell: &Cell) {
    type Change = fn(&mut Value);
    let wrong: [(&str, Change); 8] = [
        ("name", |conf| conf["name"] = json!(null)),
        ("name", |conf| conf["name"] = json!("a/b")),
        ("mtu", |conf| conf["mtu"] = json!(-1)),
        ("policy", |conf| conf["policy"] = json!("maybe")),
        ("ipam", |conf| _ = conf.as_object_mut().unwrap().remove("ipam")),
        ("ipam.type", |conf| conf["ipam"] = json!({"ranges": []})),
        ("ipam.ranges", |conf| conf["ipam"]["ranges"] = json!([])),
        ("ipam.ranges[0][0].subnet", |conf| conf["ipam"]["ranges"][0][0]["subnet"] = json!("10.1.0.1/24")),
    ];
    for (field, change) in wrong {
        let mut conf = conf(cell);
        change(&mut conf);
        let (code, said) = error_of(cell, &cell.call("ADD", &CONTAINER, &conf.to_string()));
        assert_eq!((code, said.starts_with(field)), (7, true), "{field}: {said}");
    }
    assert_eq!(refusal_of(&cell.call("ADD", &CONTAINER, "[]")).0, 7);
}

fn code_7_by_any_runtime(cell: &Cell) {
    let mut list = cell.primary(&[SUBNET]);
    list["plugins"][0]["ipam"]["ranges"] = json!([]);
    cell.failed(cell.try_add(&list, &cell.container("a")), 7, "ipam.ranges");
    cell.is_clean();
}

fn code_8_the_runtimes_own_namespace(cell: &Cell) {
    let env = |netns: &'static str| CONTAINER.into_iter().chain([("CNI_NETNS", netns)]).collect::<Vec<_>>();
    let stdin = conf(cell).to_string();
    let (code, said) = error_of(cell, &cell.call("ADD", &env("/proc/self/ns/net"), &stdin));
    assert_eq!((code, said.contains("CNI_NETNS")), (8, true), "{said}");
    cell.node().machine().write_file("/run/netns/file", "").unwrap();
    assert_eq!(error_of(cell, &cell.call("ADD", &env("/run/netns/file"), &stdin)).0, 8);
    cell.is_clean();
}

fn unknown_environment_is_ignored(cell: &Cell) {
    let tracing = [
        ("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("BAGGAGE", "k=v"),
        ("CNI_FUTURE", "1"),
    ];
    let a = cell.container("a");
    let netns = a.netns_path();
    let ours = [("CNI_CONTAINERID", "id-a"), ("CNI_IFNAME", "eth0"), ("CNI_NETNS", netns.as_str())];
    let env: Vec<_> = tracing.into_iter().chain(ours).collect();
    for verb in ["ADD", "DEL"] {
        let run = cell.call(verb, &env, &conf(cell).to_string());
        assert!(run.status.success(), "{run:?}");
    }
    cell.is_clean();
}

fn unknown_keys_are_ignored(cell: &Cell) {
    let mut list = cell.primary(&[SUBNET]);
    list["future"] = json!({"a": [1]});
    list["plugins"][0]["future"] = json!("x");
    list["plugins"][0]["ipam"]["future"] = json!(7);
    list["plugins"][0]["runtimeConfig"] = json!({"cgroupPath": "/a/b", "aliases": ["x"], "future": {}});
    let a = cell.container("a");
    cell.add(&list, &a);
    cell.del(&list, &a);
    cell.is_clean();
}

/// Runtimes take standard output for one document: a line of log in it makes that unreadable.
fn logs_go_to_standard_error(cell: &Cell) {
    let mut list = cell.primary(&[SUBNET]);
    list["plugins"][0]["logLevel"] = json!("trace");
    let a = cell.container("a");
    cell.add(&list, &a);
    if cell.since("0.4.0") && cell.kind != caracal_cni_suite::Kind::RustCni {
        cell.check(&list, &a).unwrap();
    }
    cell.failed(cell.try_add(&list, &a), 100, "is attached already");
    cell.del(&list, &a);
    cell.is_clean();
}
