//! Which source counts, and what becomes of what is wrong.

use std::fs;

use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::*;

/// An agent that is started in a directory of its own.
struct Start {
    directory: TempDir,
    args: Vec<String>,
    variables: Vec<(&'static str, &'static str)>,
}

impl Start {
    fn new(args: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let run_dir = format!("--run-dir={}", directory.path().display());
        let args = ["caracal-agent".to_owned(), run_dir].into_iter().chain(args.iter().map(|&arg| arg.to_owned()));
        Self { args: args.collect(), directory, variables: Vec::new() }
    }

    fn variable(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.push((name, value));
        self
    }

    fn file(mut self, text: &str) -> Self {
        self.write(text);
        self.args.push(format!("--config={}", self.directory.path().join("agent.yaml").display()));
        self
    }

    fn write(&self, text: &str) {
        fs::write(self.directory.path().join("agent.yaml"), text).unwrap();
    }

    fn try_start(&self) -> Result<Config, Refusal> {
        let variables = self.variables.iter().map(|(name, value)| (name.into(), value.into()));
        Config::start(&Invocation::parse(&self.args).unwrap(), variables)
    }

    fn start(&self) -> Config {
        self.try_start().unwrap()
    }

    fn refused(&self) -> String {
        self.try_start().unwrap_err().to_string()
    }
}

fn spec(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn from(config: &Config, setting: &str) -> String {
    config.in_force[setting].from.to_string()
}

#[test]
fn every_default_is_a_value() {
    let options = defaults().unwrap();
    options.check().unwrap();
    assert_eq!((options.health_port, options.metrics_port), (9099, 9091));
    assert!(options.health && !options.metrics && options.host_nat && !options.masquerade);
}

#[test]
fn the_later_source_counts() {
    let port = |start: &Start, felix: [Option<u16>; 2]| {
        let mut config = start.start();
        let [default, node] = felix.map(|port| port.map(|port| spec(&json!({ "healthPort": port }))));
        config.set_felix(default.as_ref(), node.as_ref().map(|spec| ("n1", spec)));
        (config.options().health_port, from(&config, "health-port"))
    };
    let start = Start::new(&[]);
    assert_eq!(port(&start, [None, None]), (9099, "default".to_owned()));
    assert_eq!(port(&start, [Some(1), None]), (1, "FelixConfiguration default: spec.healthPort".to_owned()));
    assert_eq!(port(&start, [Some(1), Some(2)]), (2, "FelixConfiguration node.n1: spec.healthPort".to_owned()));
    let start = start.file("# the port\nhealth-port: 3\n");
    let file = start.directory.path().join("agent.yaml");
    assert_eq!(port(&start, [Some(1), Some(2)]), (3, format!("{}:2", file.display())));
    let start = start.variable("FELIX_HEALTHPORT", "4");
    assert_eq!(port(&start, [Some(1), Some(2)]), (4, "FELIX_HEALTHPORT".to_owned()));
    let start = start.variable("CARACAL_HEALTH_PORT", "5");
    assert_eq!(port(&start, [Some(1), Some(2)]), (5, "CARACAL_HEALTH_PORT".to_owned()));
    let mut start = start;
    start.args.push("--health-port=6".to_owned());
    assert_eq!(port(&start, [Some(1), Some(2)]), (6, "--health-port".to_owned()));
}

#[test]
fn a_start_with_anything_wrong_is_refused_with_all_of_it() {
    let start =
        Start::new(&["--health-port=0"]).file("log-level: loud\nnic: eth0\n").variable("CARACAL_DEBUG", "maybe");
    let refused = start.refused();
    let lines: Vec<&str> = refused.lines().collect();
    assert_eq!(lines.len(), 3, "{refused}");
    assert!(lines[0].contains("agent.yaml:1: log-level: \"loud\""), "{refused}");
    assert!(lines[1].starts_with("CARACAL_DEBUG: debug: \"maybe\""), "{refused}");
    assert!(lines[2].starts_with("--health-port: \"0\""), "{refused}");
    let missing = Start::new(&["--config=/nowhere/agent.yaml"]).refused();
    assert!(missing.contains("/nowhere/agent.yaml: cannot read it: No such file"), "{missing}");
}

#[test]
fn masquerading_beside_the_hosts_own_translations_is_refused_with_a_way_out() {
    let refused = Start::new(&["--masquerade=true"]).refused();
    assert!(refused.starts_with("--masquerade: ") && refused.contains("--host-nat=false"), "{refused}");
    Start::new(&["--masquerade=true", "--host-nat=false"]).start();
}

#[test]
fn a_file_that_breaks_leaves_what_it_said_before_and_says_so() {
    let start = Start::new(&[]).file("health-port: 9098\nlog-level: debug\n");
    let mut config = start.start();
    for (text, problem) in [
        ("health-port: x\nlog-level: warn\n", "agent.yaml:1: health-port: \"x\""),
        ("health-port: [\n", "agent.yaml:2: "),
        ("healthy-port: 1\n", "agent.yaml:1: healthy-port: there is no such setting"),
    ] {
        start.write(text);
        config.reread();
        assert_eq!(config.options().health_port, 9098, "{text}");
        let problems = config.problems();
        assert!(problems[0].to_string().contains(problem), "{problems:?}");
    }
    assert_eq!(config.options().log_level.as_str(), "warn", "what was right beside it");
    start.write("health-port: 9097\n");
    let changed = config.reread();
    assert_eq!((config.options().health_port, config.problems()), (9097, vec![]));
    let changed: Vec<_> = changed.iter().map(|changed| (changed.setting, changed.change)).collect();
    assert_eq!(changed, [("health-port", Change::Live), ("log-level", Change::Live)]);
    fs::remove_file(start.directory.path().join("agent.yaml")).unwrap();
    assert_eq!((config.reread(), config.options().health_port), (vec![], 9097));
    assert!(config.problems()[0].to_string().contains("cannot read it"));
}

#[test]
fn a_patch_that_is_wrong_leaves_what_the_object_said_before_and_a_later_one_mends_it() {
    let mut config = Start::new(&[]).start();
    config.set_felix(Some(&spec(&json!({"healthPort": 9098, "logSeverityScreen": "Debug"}))), None);
    let broken = spec(&json!({"healthPort": "many", "logSeverityScreen": "Warning", "nosuch": 1}));
    config.set_felix(Some(&broken), None);
    let options = config.options();
    assert_eq!((options.health_port, options.log_level.as_str()), (9098, "warn"));
    assert_eq!(config.problems().len(), 2, "{:?}", config.problems());
    config.set_felix(Some(&broken), None);
    assert_eq!(config.options().health_port, 9098, "however often it is said");
    config.set_felix(None, None);
    assert_eq!((config.options().health_port, config.problems()), (9099, vec![]));
}

#[test]
fn what_needs_a_restart_waits_and_is_remembered_for_it() {
    let start = Start::new(&[]);
    let mut config = start.start();
    let felix = spec(&json!({"bpfEnforceRPF": "Strict"}));
    let changed = config.set_felix(Some(&felix), None);
    assert_eq!(changed[0].change, Change::Restart);
    assert_eq!(config.options().reverse_path, crate::ReversePath::Loose);
    let waiting: Vec<String> =
        config.awaiting_restart().map(|(name, now, then)| show::awaiting(name, now, then)).collect();
    let expected = "reverse-path is loose until the agent is started again, then strict \
                    (FelixConfiguration default: spec.bpfEnforceRPF)";
    assert_eq!(waiting, [expected]);
    assert!(config.show(Output::Text).contains(expected));
    Felix { default: Some(felix), node: None }.write(start.directory.path()).unwrap();
    let config = start.start();
    assert_eq!(config.options().reverse_path, crate::ReversePath::Strict);
    assert_eq!(config.awaiting_restart().count(), 0);
}

#[test]
fn what_the_cluster_said_wrong_refuses_no_start() {
    let start = Start::new(&[]);
    let felix = Felix { default: Some(spec(&json!({"healthPort": "many", "nosuch": 1}))), node: None };
    felix.write(start.directory.path()).unwrap();
    let config = start.start();
    assert_eq!((config.options().health_port, config.problems().len()), (9099, 2));
}

#[test]
fn what_would_be_refused_at_the_next_start_is_told_before() {
    let start = Start::new(&[]).file("host-nat: false\nmasquerade: true\n");
    let mut config = start.start();
    start.write("masquerade: true\n");
    config.reread();
    let problems = config.problems();
    assert!(problems[0].to_string().contains("agent.yaml:1: --masquerade=true needs"), "{problems:?}");
    assert!(!config.options().host_nat);
}

#[test]
fn every_value_is_shown_with_where_it_comes_from() {
    let config = Start::new(&["--timeout=udp=60", "--nic=eth0"]).variable("CARACAL_HEALTHY", "1").start();
    let text = config.show(Output::Text);
    for line in ["SETTING ", "timeout ", "nic ", "CARACAL_HEALTHY: there is no such setting"] {
        assert!(text.lines().any(|it| it.starts_with(line)), "{text}");
    }
    assert_eq!(text.lines().filter(|line| line.ends_with("  default")).count(), SETTINGS.len() - 3);
    let json: Value = serde_json::from_str(&config.show(Output::Json)).unwrap();
    let settings = json["settings"].as_array().unwrap();
    let find = |name: &str| settings.iter().find(|setting| setting["name"] == name).unwrap();
    assert_eq!(settings.len(), SETTINGS.len());
    assert_eq!(find("timeout")["value"], json!(["udp=60"]));
    assert_eq!(find("timeout")["from"], "--timeout");
    assert_eq!(find("health-port")["value"], 9099);
    assert_eq!(find("health")["default"], true);
    assert_eq!(find("node-name")["value"], Value::Null);
    assert_eq!(json["notes"], json!(["CARACAL_HEALTHY: there is no such setting"]));
}

/// Anything that JSON has, not too deep.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "[-0-9a-z:=.,/]{0,16}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-zA-Z]{0,12}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_setting() -> impl Strategy<Value = &'static str> {
    prop::sample::select(SETTINGS.iter().map(|setting| setting.name).collect::<Vec<_>>())
}

/// What is in a layer can be read, and each complaint says where and what.
fn check(layer: &Layer) -> Result<(), TestCaseError> {
    let mut values = default_values();
    values.extend(layer.given.iter().map(|(name, given)| (*name, given.clone())));
    prop_assert!(read(&values).is_ok());
    for problem in &layer.problems {
        let text = problem.to_string();
        prop_assert!(problem.at != Origin::Default && text.len() > problem.at.to_string().len() + 2, "{}", text);
        prop_assert!(problem.setting.is_none_or(|name| text.contains(name)), "{}", text);
    }
    Ok(())
}

proptest! {
    #[test]
    fn whatever_a_file_says_is_taken_or_complained_about(text in "\\PC{0,200}", settings in prop::collection::vec((any_setting(), any_value()), 0..6)) {
        let path = Arc::new(PathBuf::from("/c.yaml"));
        check(&file::parse(&path, &text))?;
        let document: Map<String, Value> = settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let layer = file::parse(&path, &serde_norway::to_string(&document).unwrap());
        check(&layer)?;
        for (name, value) in &document {
            let is_told = layer.given.contains_key(name.as_str()) || layer.problems.iter().any(|it| it.setting == Some(name.as_str()));
            prop_assert!(is_told || value.is_null() || !layer.problems.is_empty(), "{} {}", name, value);
        }
    }

    #[test]
    fn whatever_an_object_says_is_taken_or_complained_about(name in "[a-zA-Z]{1,12}", value in any_value(), values in prop::collection::vec(any_value(), 20)) {
        let keys = felix::mapped().map(|(key, _)| key.to_owned()).chain(["vxlanMTU".to_owned(), name]);
        let spec: Map<String, Value> = keys.zip(values.into_iter().chain([value])).collect();
        let layer = felix::layer("default", Some(&spec));
        check(&layer)?;
        let told = layer.given.len() + layer.problems.len() + layer.notes.len();
        let silent = spec.values().filter(|value| value.is_null() || **value == "").count();
        // Two keys may set one setting.
        prop_assert!(told + silent + 1 >= spec.len(), "{:?}", layer);
    }

    #[test]
    fn whatever_variables_say_is_taken_or_complained_about(name in any_setting(), key in "(FELIX|CARACAL)_[A-Z_]{0,12}", text in "\\PC{0,40}") {
        let variable = Setting::find(name).unwrap().variable();
        let layer = environment::read([(variable.into(), (&text).into()), (key.into(), (&text).into())]);
        check(&layer)?;
    }
}
