//! Whether what a plugin printed is what the specification allows it to print.

use ipnetwork::IpNetwork;
use serde_json::{Map, Value};

use super::{Error, Network, PluginError, Run, SpecVersion, Verb};

/// Takes the result out of a finished ADD, or says in what way it is none.
pub(super) fn of_add(network: &Network, run: &Run) -> Result<Value, Error> {
    succeeded(run)?;
    let breaks = |reason: String| Error::Protocol { reason, run: Box::new(run.clone()) };
    let result: Value = serde_json::from_str(&run.stdout)
        .map_err(|error| breaks(format!("stdout is not one JSON document: {error}")))?;
    check_shape(network.version, &result).map_err(breaks)?;
    Ok(result)
}

/// Checks a finished call of a verb that has no result.
pub(super) fn without_output(verb: Verb, run: &Run) -> Result<(), Error> {
    succeeded(run)?;
    if run.stdout.trim().is_empty() {
        return Ok(());
    }
    Err(Error::Protocol { reason: format!("{verb} has no result, but there is output"), run: Box::new(run.clone()) })
}

/// Takes the versions out of a finished VERSION.
pub(super) fn of_version(run: &Run) -> Result<Vec<String>, Error> {
    succeeded(run)?;
    let breaks = |reason: String| Error::Protocol { reason, run: Box::new(run.clone()) };
    let answer: Value = serde_json::from_str(&run.stdout)
        .map_err(|error| breaks(format!("stdout is not one JSON document: {error}")))?;
    if answer.get("cniVersion").and_then(Value::as_str).is_none() {
        return Err(breaks("`cniVersion` is missing or not a string".to_owned()));
    }
    let versions = answer.get("supportedVersions").and_then(Value::as_array);
    let versions = versions.ok_or_else(|| breaks("`supportedVersions` is missing or not a list".to_owned()))?;
    let texts: Option<Vec<String>> = versions.iter().map(|version| version.as_str().map(str::to_owned)).collect();
    texts.ok_or_else(|| breaks("`supportedVersions` holds something that is no string".to_owned()))
}

/// A plugin that fails must say so by an error object and a status other than 0, and by both.
fn succeeded(run: &Run) -> Result<(), Error> {
    let error = serde_json::from_str::<PluginError>(&run.stdout);
    let breaks = |reason: &str| Err(Error::Protocol { reason: reason.to_owned(), run: Box::new(run.clone()) });
    match (run.status.success(), error) {
        (true, Err(_)) => Ok(()),
        (true, Ok(_)) => breaks("it printed an error object and ended with status 0"),
        (false, Ok(PluginError { code: 0, .. })) => breaks("an error with code 0"),
        (false, Ok(error)) => Err(Error::Failed { error, run: Box::new(run.clone()) }),
        (false, Err(error)) => breaks(&format!("{} without an error object on stdout: {error}", run.status)),
    }
}

fn check_shape(version: SpecVersion, result: &Value) -> Result<(), String> {
    let result = result.as_object().ok_or("the result is not an object")?;
    let written = result.get("cniVersion").and_then(Value::as_str);
    if written != Some(version.to_string().as_str()) {
        return Err(format!("cniVersion of the result is {written:?}, that of the configuration {version}"));
    }
    let interfaces = list(result, "interfaces")?;
    for (interface, index) in interfaces.iter().zip(0..) {
        let name = interface.get("name").and_then(Value::as_str);
        if name.is_none_or(str::is_empty) {
            return Err(format!("interfaces[{index}].name is missing or empty"));
        }
    }
    for (ip, index) in list(result, "ips")?.iter().zip(0..) {
        check_ip(version, ip, interfaces.len()).map_err(|reason| format!("ips[{index}].{reason}"))?;
    }
    for (route, index) in list(result, "routes")?.iter().zip(0..) {
        cidr(route, "dst").map_err(|reason| format!("routes[{index}].{reason}"))?;
    }
    match result.get("dns") {
        None | Some(Value::Object(_)) => Ok(()),
        Some(_) => Err("dns is not an object".to_owned()),
    }
}

fn check_ip(version: SpecVersion, ip: &Value, interfaces: usize) -> Result<(), String> {
    let address = cidr(ip, "address")?;
    let family = if address.is_ipv4() { "4" } else { "6" };
    match (version < SpecVersion(1, 0, 0), ip.get("version").map(Value::as_str)) {
        (true, Some(Some(written))) if written == family => {}
        (true, written) => return Err(format!("version must be \"{family}\" before 1.0.0, and is {written:?}")),
        (false, Some(_)) => return Err("version does not exist any more since 1.0.0".to_owned()),
        (false, None) => {}
    }
    match ip.get("interface").map(Value::as_u64) {
        None => Ok(()),
        Some(Some(index)) if usize::try_from(index).is_ok_and(|index| index < interfaces) => Ok(()),
        Some(_) => Err(format!("interface is no index into the {interfaces} interfaces")),
    }
}

fn cidr(object: &Value, key: &str) -> Result<IpNetwork, String> {
    let text = object.get(key).and_then(Value::as_str).ok_or_else(|| format!("{key} is missing"))?;
    if !text.contains('/') {
        return Err(format!("{key} `{text}` has no prefix length"));
    }
    text.parse().map_err(|error| format!("{key} `{text}`: {error}"))
}

fn list<'a>(result: &'a Map<String, Value>, key: &str) -> Result<&'a [Value], String> {
    match result.get(key) {
        None => Ok(&[]),
        Some(Value::Array(list)) => Ok(list),
        Some(_) => Err(format!("{key} is not a list")),
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt as _, process::ExitStatus, time::Duration};

    use serde_json::json;

    use super::*;

    fn run(status: i32, stdout: &str) -> Run {
        Run {
            plugin: "p".to_owned(),
            command: "ADD".to_owned(),
            stdin: String::new(),
            status: ExitStatus::from_raw(status << 8),
            stdout: stdout.to_owned(),
            stderr: String::new(),
            elapsed: Duration::ZERO,
        }
    }

    fn add(version: &str, result: &Value) -> Result<Value, String> {
        let network = Network::from_list(&json!({"name": "n", "cniVersion": version, "plugins": []})).unwrap();
        of_add(&network, &run(0, &result.to_string())).map_err(|error| error.to_string())
    }

    #[test]
    fn a_good_result_is_given_back_as_it_is() {
        let result = json!({
            "cniVersion": "1.0.0",
            "interfaces": [{"name": "eth0", "sandbox": "/run/netns/a"}],
            "ips": [{"address": "10.0.0.2/32", "interface": 0}, {"address": "fd00::2/128"}],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dns": {},
        });
        assert_eq!(add("1.0.0", &result), Ok(result));
    }

    #[test]
    fn what_libcni_forgives_is_refused() {
        for (version, result, reason) in [
            ("1.0.0", json!([]), "not an object"),
            ("1.0.0", json!({}), "cniVersion of the result is None"),
            ("1.0.0", json!({"cniVersion": "1.1.0"}), "that of the configuration 1.0.0"),
            (
                "0.3.1",
                json!({"cniVersion": "0.3.1", "ips": [{"address": "10.0.0.2/24"}]}),
                "must be \"4\" before 1.0.0",
            ),
            (
                "1.0.0",
                json!({"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.2/24", "version": "4"}]}),
                "since 1.0.0",
            ),
            ("1.0.0", json!({"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.2"}]}), "no prefix length"),
            ("1.0.0", json!({"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.2/24", "interface": 0}]}), "no index"),
            ("1.0.0", json!({"cniVersion": "1.0.0", "routes": [{"gw": "10.0.0.1"}]}), "routes[0].dst is missing"),
            ("1.0.0", json!({"cniVersion": "1.0.0", "interfaces": [{}]}), "interfaces[0].name"),
            ("1.0.0", json!({"cniVersion": "1.0.0", "dns": []}), "dns is not an object"),
        ] {
            let error = add(version, &result).unwrap_err();
            assert!(error.contains(reason), "{result}: {error}");
        }
    }

    #[test]
    fn failure_takes_an_error_object_and_a_status() {
        let object = r#"{"cniVersion":"1.0.0","code":11,"msg":"later","details":"busy"}"#;
        let error = succeeded(&run(1, object)).unwrap_err();
        assert_eq!(error.plugin_error().map(|error| error.code), Some(11));
        assert!(error.to_string().contains("ADD of plugin p: code 11: later (busy)"), "{error}");

        for (status, stdout) in [(0, object), (1, ""), (1, "panic!"), (1, r#"{"code":0,"msg":""}"#)] {
            assert!(matches!(succeeded(&run(status, stdout)), Err(Error::Protocol { .. })), "{status} {stdout}");
        }
    }

    #[test]
    fn verbs_without_result_print_nothing() {
        assert!(without_output(Verb::Del, &run(0, "\n")).is_ok());
        assert!(without_output(Verb::Del, &run(0, "{}")).is_err());
    }

    #[test]
    fn versions_are_a_list_of_strings() {
        let good = of_version(&run(0, r#"{"cniVersion":"1.1.0","supportedVersions":["1.0.0","1.1.0"]}"#)).unwrap();
        assert_eq!(good, ["1.0.0", "1.1.0"]);
        for bad in ["", "{}", r#"{"cniVersion":"1.1.0"}"#, r#"{"cniVersion":"1.1.0","supportedVersions":[1]}"#] {
            assert!(of_version(&run(0, bad)).is_err(), "{bad}");
        }
    }
}
