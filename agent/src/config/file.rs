//! The configuration file: a YAML mapping whose keys are the names of settings.

use std::{collections::BTreeMap, fs, io, path::PathBuf, sync::Arc};

use serde_json::Value;

use super::{Layer, Origin, Setting};

/// Larger than any that means something.
const LARGEST: u64 = 1 << 20;

/// What a file says. That it cannot be read at all is a problem of no setting.
#[must_use]
pub fn read(path: &Arc<PathBuf>) -> Layer {
    match text(path) {
        Ok(text) => parse(path, &text),
        Err(error) => {
            let mut layer = Layer::default();
            layer.complain(Origin::File { path: Arc::clone(path), line: None }, format!("cannot read it: {error}"));
            layer
        }
    }
}

fn text(path: &PathBuf) -> io::Result<String> {
    let length = fs::metadata(path)?.len();
    if length > LARGEST {
        return Err(io::Error::other(format!("{length} bytes are more than {LARGEST}")));
    }
    fs::read_to_string(path)
}

/// What the text of a file says.
#[must_use]
pub fn parse(path: &Arc<PathBuf>, text: &str) -> Layer {
    let mut layer = Layer::default();
    let at = |line| Origin::File { path: Arc::clone(path), line };
    let document: serde_norway::Value = match serde_norway::from_str(text) {
        Ok(document) => document,
        Err(error) => {
            let line = error.location().map(|place| place.line());
            layer.complain(at(line), without_place(&error.to_string()));
            return layer;
        }
    };
    let settings = match document {
        serde_norway::Value::Mapping(settings) => settings,
        serde_norway::Value::Null => return layer,
        _ => {
            layer.complain(at(None), "it must be a mapping of settings, such as `log-level: info`");
            return layer;
        }
    };
    let lines = lines(text);
    for (key, value) in settings {
        let name = key_text(&key);
        let at = at(lines.get(name.as_str()).copied());
        match (Setting::find(&name), serde_json::to_value(value)) {
            (None, _) => {
                layer.complain(at, format!("{name}: there is no such setting; `caracal-agent config` shows all"));
            }
            (Some(_), Ok(Value::Null)) => {}
            (Some(setting), Ok(value)) => match texts(setting, &value) {
                Ok(texts) => layer.put(setting, texts, at),
                Err(why) => layer.reject(setting, &why, at),
            },
            (Some(setting), Err(error)) => layer.reject(setting, &error.to_string(), at),
        }
    }
    layer
}

/// A key that is no text is named as it is written.
fn key_text(key: &serde_norway::Value) -> String {
    let written = || serde_norway::to_string(key).unwrap_or_default().trim().to_owned();
    key.as_str().map_or_else(written, str::to_owned)
}

/// A list may be written as one, as a mapping of names to values, or as flags have it.
fn texts(setting: &Setting, value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::Array(items) if setting.kind.is_list() => items.iter().map(scalar).collect(),
        Value::Object(fields) if setting.kind.is_list() => {
            fields.iter().map(|(name, value)| Ok(format!("{name}={}", scalar(value)?))).collect()
        }
        other => Ok(setting.split(&scalar(other)?)),
    }
}

fn scalar(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(is_on) => Ok(is_on.to_string()),
        Value::Null => Err("nothing stands there".to_owned()),
        Value::Array(_) => Err("a list stands where one value is wanted".to_owned()),
        Value::Object(_) => Err("a mapping stands where one value is wanted".to_owned()),
    }
}

/// The line of each key that begins one, counted from 1. In a mapping all else is indented.
fn lines(text: &str) -> BTreeMap<&str, usize> {
    let mut lines = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        if let Some((key, _)) = line.split_once(':') {
            lines.entry(key.trim_end().trim_matches(['"', '\''])).or_insert(number + 1);
        }
    }
    lines
}

/// The place stands in front of the message already.
fn without_place(message: &str) -> &str {
    message.rsplit_once(" at line ").map_or(message, |(what, _)| what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(text: &str) -> Layer {
        parse(&Arc::new("/etc/caracal/agent.yaml".into()), text)
    }

    #[test]
    fn values_are_read_with_the_line_they_stand_in() {
        let layer = layer(
            "# ours\nmasquerade-ports: 20000-20999\n\"health-port\": 9098\nhost-nat: false\ncgroup:\n\
             nic: [eth0, eth1]\nno-masquerade-to:\n- 192.0.2.0/24\n- 2001:db8::/32\ntimeout: {udp: 60, icmp: 5}\n",
        );
        assert_eq!(layer.problems, []);
        let expected: [(&str, &[&str], usize); 6] = [
            ("masquerade-ports", &["20000-20999"], 2),
            ("health-port", &["9098"], 3),
            ("host-nat", &["false"], 4),
            ("nic", &["eth0", "eth1"], 6),
            ("no-masquerade-to", &["192.0.2.0/24", "2001:db8::/32"], 7),
            ("timeout", &["udp=60", "icmp=5"], 10),
        ];
        assert_eq!(layer.given.len(), expected.len());
        for (name, texts, line) in expected {
            let given = &layer.given[name];
            assert_eq!(given.texts, texts);
            assert_eq!(given.from.to_string(), format!("/etc/caracal/agent.yaml:{line}"));
        }
        assert_eq!(parse(&Arc::default(), "timeout: udp=60,icmp=5").given["timeout"].texts, ["udp=60", "icmp=5"]);
    }

    #[test]
    fn what_is_wrong_is_told_by_file_line_setting_and_what_is_allowed() {
        for (text, expected) in [
            (
                "\nhealth-port: 0",
                ":2: health-port: \"0\" is not such a number; allowed is a whole number from 1 to 65535",
            ),
            ("health-port: [1]", ":1: health-port: a list stands where one value is wanted; allowed is"),
            ("health-port: {a: 1}", ":1: health-port: a mapping stands where one value is wanted; allowed is"),
            ("nic: [[a]]", ":1: nic: a list stands where one value is wanted; allowed is a list, each the name"),
            ("nic: [null]", ":1: nic: nothing stands there; allowed is"),
            ("host-nat: yes", ":1: host-nat: \"yes\" is neither true nor false; allowed is true or false"),
            ("healthport: 1", ":1: healthport: there is no such setting"),
            ("\n\n7: 1", ":3: 7: there is no such setting"),
            ("health: true\nhealth: false", ": duplicate entry with key \"health\""),
            ("a: [", ": did not find expected node content"),
            ("- health", ": it must be a mapping of settings"),
            ("a: 1\n---\nb: 2", ": deserializing from YAML containing more than one document is not supported"),
        ] {
            let layer = layer(text);
            assert!(layer.given.is_empty(), "{text}");
            let problem = layer.problems[0].to_string();
            assert!(problem.starts_with("/etc/caracal/agent.yaml:") && problem.contains(expected), "{problem}");
        }
        assert_eq!(layer(""), Layer::default());
    }

    #[test]
    fn a_file_that_is_not_there_or_too_large_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = Arc::new(directory.path().join("agent.yaml"));
        let problem = |path| read(path).problems.pop().unwrap().to_string();
        assert!(problem(&path).contains("agent.yaml: cannot read it: No such file"), "{}", problem(&path));
        fs::write(&*path, vec![b'#'; 2 << 20]).unwrap();
        assert!(problem(&path).contains("2097152 bytes are more than 1048576"), "{}", problem(&path));
        fs::write(&*path, [0xff]).unwrap();
        assert!(problem(&path).contains("valid UTF-8"), "{}", problem(&path));
    }
}
