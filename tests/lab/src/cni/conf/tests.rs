use serde_json::json;

use super::*;

fn list(value: &Value) -> Result<Network, String> {
    Network::from_list(value).map_err(|error| error.to_string())
}

#[test]
fn a_list_gives_name_version_flags_and_plugins() {
    let network = list(&json!({
        "cniVersion": "1.0.0", "name": "net", "disableCheck": true,
        "plugins": [{"type": "ptp", "mtu": 1400}, {"type": "portmap"}],
    }))
    .unwrap();
    assert_eq!((network.name.as_str(), network.version), ("net", SpecVersion(1, 0, 0)));
    assert!(network.disable_check && !network.disable_gc);
    assert_eq!((network.plugin_type(0), network.plugin_type(1)), ("ptp", "portmap"));
}

#[test]
fn the_highest_version_that_both_know_is_spoken() {
    let spoken = |value: Value| list(&value).map(|network| network.version.to_string());
    let offered =
        json!({"cniVersion": "0.4.0", "cniVersions": ["1.0.0", "1.1.0", "9.0.0"], "name": "n", "plugins": []});
    assert_eq!(spoken(offered), Ok("1.1.0".to_owned()));
    assert!(spoken(json!({"cniVersion": "9.0.0", "name": "n", "plugins": []})).unwrap_err().contains("none of"));
    assert!(spoken(json!({"cniVersion": "1.0", "name": "n", "plugins": []})).unwrap_err().contains("`1.0`"));
    assert!(spoken(json!({"name": "n", "plugins": []})).unwrap_err().contains("missing"));
}

#[test]
fn errors_name_the_field() {
    for (value, field) in [
        (json!([]), "list"),
        (json!({"cniVersion": "1.0.0", "plugins": []}), "name"),
        (json!({"cniVersion": "1.0.0", "name": "a/b", "plugins": []}), "network name `a/b`"),
        (json!({"cniVersion": "1.0.0", "name": "n"}), "plugins"),
        (json!({"cniVersion": "1.0.0", "name": "n", "plugins": [{"type": "a"}, {}]}), "plugins[1].type"),
        (json!({"cniVersion": "1.0.0", "name": "n", "plugins": [{"type": "/bin/sh"}]}), "plugins[0].type"),
        (json!({"cniVersion": "1.0.0", "name": "n", "plugins": [], "disableGC": "yes"}), "disableGC"),
    ] {
        let error = list(&value).unwrap_err();
        assert!(error.contains(field), "{error}");
    }
}

#[test]
fn a_plugin_is_given_its_configuration_and_what_the_runtime_adds() {
    let network = list(&json!({"cniVersion": "1.0.0", "name": "net", "plugins": [
        {"type": "a", "key": {"kept": true}, "capabilities": {"portMappings": true, "bandwidth": false}},
        {"type": "b"},
    ]}))
    .unwrap();
    let mut attachment = Attachment::new("c", "/run/netns/c");
    for name in ["portMappings", "bandwidth", "mac"] {
        attachment.capabilities.insert(name.to_owned(), json!([1]));
    }
    let prev = json!({"ips": []});

    let first = network.stdin(0, Some(&attachment), None);
    assert_eq!((&first["name"], &first["cniVersion"]), (&json!("net"), &json!("1.0.0")));
    assert_eq!(first["key"], json!({"kept": true}));
    assert_eq!(first["runtimeConfig"], json!({"portMappings": [1]}), "only what is declared, and true");
    assert!(!first.contains_key("prevResult"));

    let second = network.stdin(1, Some(&attachment), Some(&prev));
    assert_eq!(second["prevResult"], prev);
    assert!(!second.contains_key("runtimeConfig"));
}

#[test]
fn the_first_file_counts_even_if_it_is_broken() {
    let dir = tempfile::tempdir().unwrap();
    let load = || Network::load(dir.path()).map_err(|error| error.to_string());
    assert!(load().unwrap_err().contains("no network configuration"));

    fs::write(dir.path().join("20-list.conflist"), r#"{"cniVersion":"1.0.0","name":"l","plugins":[{"type":"a"}]}"#)
        .unwrap();
    assert_eq!(load().unwrap().name, "l");
    fs::write(dir.path().join("10-single.conf"), r#"{"cniVersion":"0.4.0","name":"s","type":"b"}"#).unwrap();
    let single = load().unwrap();
    assert_eq!((single.name.as_str(), single.plugin_type(0)), ("s", "b"));
    fs::write(dir.path().join("05-broken.conflist"), "{").unwrap();
    assert!(load().unwrap_err().contains("05-broken.conflist"));
    fs::write(dir.path().join("00-ignored.txt"), "").unwrap();
    assert!(load().unwrap_err().contains("05-broken.conflist"));
}

#[test]
fn files_in_the_directory_of_the_network_are_appended() {
    let dir = tempfile::tempdir().unwrap();
    let write = |more: &str| {
        let list = format!(r#"{{"cniVersion":"1.0.0","name":"net","plugins":[{{"type":"a"}}]{more}}}"#);
        fs::write(dir.path().join("10.conflist"), list).unwrap();
    };
    fs::create_dir(dir.path().join("net")).unwrap();
    fs::write(dir.path().join("net/2.conf"), r#"{"type":"c"}"#).unwrap();
    fs::write(dir.path().join("net/1.conf"), r#"{"type":"b"}"#).unwrap();
    let types = || {
        let network = Network::load(dir.path()).unwrap();
        (0..network.plugins.len()).map(|index| network.plugin_type(index).to_owned()).collect::<Vec<_>>()
    };
    write("");
    assert_eq!(types(), ["a", "b", "c"]);
    write(r#","loadOnlyInlinedPlugins":true"#);
    assert_eq!(types(), ["a"]);
}

#[test]
fn names_keep_to_the_specification() {
    for good in ["a", "9", "a_b.c-D"] {
        assert!(check_name("container id", good).is_ok(), "{good}");
    }
    for bad in ["", "-a", "_a", "a b", "a/b", "ä"] {
        assert!(check_name("container id", bad).is_err(), "{bad}");
    }
    for good in ["eth0", "a", "123456789012345"] {
        assert!(check_ifname(good).is_ok(), "{good}");
    }
    for bad in ["", ".", "..", "a/b", "a:b", "a b", "1234567890123456"] {
        assert!(check_ifname(bad).is_err(), "{bad}");
    }
}
