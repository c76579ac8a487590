use caracal_ipam::protocol::{Args, Request, Version};
use serde_json::{Value, json};

use super::*;

fn request(change: impl FnOnce(&mut Value)) -> Request {
    let mut conf = json!({"cniVersion": "1.1.0", "name": "net", "type": "caracal",
        "ipam": {"type": "caracal-ipam", "ranges": [[{"subnet": "10.0.0.0/24"}]]}});
    change(&mut conf);
    Request { version: Version::LATEST, network: "net".to_owned(), conf, args: Args::default(), path: Vec::new() }
}

fn refused(change: impl FnOnce(&mut Value)) -> (u32, String) {
    let error = Config::parse(&request(change)).unwrap_err();
    (error.code.into(), error.to_string())
}

#[test]
fn defaults() {
    let config = Config::parse(&request(|_| {})).unwrap();
    let places = Places {
        run_dir: "/run/caracal".into(),
        bpffs: "/sys/fs/bpf/caracal".into(),
        data_dir: "/run/caracal/ipam".into(),
    };
    assert_eq!(
        config,
        Config {
            places,
            mtu: None,
            dns: None,
            runtime_dns: RuntimeDns::default(),
            mac: None,
            policy: Policy::None,
            attach: Attach::Filter,
            bandwidth: Bandwidth::default(),
            ports: Vec::new(),
        }
    );
    assert_eq!(config.places.records("net"), Path::new("/run/caracal/endpoints/net"));
}

#[test]
fn behind_another_plugin_others_may_follow() {
    let attach = |change: fn(&mut Value)| Config::parse(&request(change)).map(|config| config.attach);
    let chained = attach(|conf| drop(conf.as_object_mut().unwrap().remove("ipam")));
    assert_eq!(chained.unwrap(), Attach::Tcx);
    assert_eq!(attach(|conf| conf["attach"] = json!("tcx")).unwrap(), Attach::Tcx);
    let error = attach(|conf| conf["attach"] = json!("xdp")).unwrap_err();
    assert_eq!(error.to_string(), "attach: \"xdp\" is not one of \"filter\", \"tcx\"");
}

#[test]
fn everything_given() {
    let config = Config::parse(&request(|conf| {
        conf["mtu"] = json!(1400);
        conf["dns"] = json!({"nameservers": []});
        conf["policy"] = json!("required");
        conf["bpffs"] = json!("/b");
        conf["runDir"] = json!("/r");
        conf["unknown"] = json!({"key": 1});
        conf["runtimeConfig"] = json!({"portMappings": [], "mac": "02:00:00:00:00:01"});
    }))
    .unwrap();
    let places = Places { run_dir: "/r".into(), bpffs: "/b".into(), data_dir: "/r/ipam".into() };
    let expected = Config {
        places,
        mtu: Some(1400),
        dns: Some(Dns::default()),
        runtime_dns: RuntimeDns::default(),
        mac: Some(Mac([2, 0, 0, 0, 0, 1])),
        policy: Policy::Required,
        attach: Attach::Filter,
        bandwidth: Bandwidth::default(),
        ports: Vec::new(),
    };
    assert_eq!(config, expected);
    let config = Config::parse(&request(|conf| {
        conf["mtu"] = json!(0);
        conf["dns"] = json!({});
        conf["ipam"]["dataDir"] = json!("/d");
    }))
    .unwrap();
    assert_eq!((config.mtu, config.dns, config.places.data_dir), (None, None, "/d".into()));
}

#[test]
fn capabilities_that_are_of_no_use_here_are_let_pass() {
    let passed = json!({
        "io.kubernetes.cri.pod-annotations": {"a": "b"},
        "cgroupPath": "/kubepods/pod1",
        "aliases": ["web"],
        "infinibandGUID": "24:8a:07:03:00:8d:ae:2e",
        "deviceID": "0000:04:10.1",
        "nobodyKnows": [1, {"what": null}],
        "ips": ["10.0.0.7/24"],
        "ipRanges": [[{"subnet": "10.0.0.0/24"}]],
    });
    let config = Config::parse(&request(|conf| conf["runtimeConfig"] = passed)).unwrap();
    assert_eq!(config, Config::parse(&request(|_| {})).unwrap());
}

#[test]
fn the_runtimes_resolver_settings_win_over_all_others() {
    let given = Dns { nameservers: vec!["10.0.0.1".to_owned()], ..Dns::default() };
    let of = |change: fn(&mut Value)| Config::parse(&request(change)).unwrap().dns(given.clone()).nameservers;
    assert_eq!(of(|_| {}), ["10.0.0.1"]);
    assert_eq!(of(|conf| conf["dns"] = json!({"nameservers": ["10.0.0.2"]})), ["10.0.0.2"]);
    let all = of(|conf| {
        conf["dns"] = json!({"nameservers": ["10.0.0.2"]});
        conf["runtimeConfig"] = json!({"dns": {"servers": ["10.0.0.3"]}});
    });
    assert_eq!(all, ["10.0.0.3"]);
}

#[test]
fn complaints_name_the_field() {
    let bad = |change: fn(&mut Value)| {
        let (code, text) = refused(change);
        assert_eq!(code, 7, "{text}");
        text
    };
    assert_eq!(bad(|conf| conf["mtu"] = json!(67)), "mtu: 67 is not between 68 and 65535");
    assert!(bad(|conf| conf["mtu"] = json!("big")).starts_with("mtu: invalid type"));
    assert_eq!(bad(|conf| conf["policy"] = json!("maybe")), "policy: \"maybe\" is not one of \"none\", \"required\"");
    assert_eq!(bad(|conf| conf["runDir"] = json!("run")), "runDir: must be an absolute path");
    assert!(bad(|conf| conf["dns"] = json!("10.0.0.10")).starts_with("dns: "));
    assert!(bad(|conf| conf["runtimeConfig"] = json!({"dns": []})).starts_with("runtimeConfig.dns: "));
    assert!(bad(|conf| conf["args"] = json!({"cni": {"mac": "x"}})).starts_with("args.cni.mac: \"x\" is not a"));
    assert_eq!(bad(|conf| conf["runtimeConfig"] = json!([])), "runtimeConfig: must be an object");
}

#[test]
fn who_gives_addresses_is_said_or_left_to_others() {
    let of = |change: fn(&mut Value)| {
        let request = request(change);
        (ipam_type(&request.conf()).map_err(|e| e.to_string()), is_chained(&request.conf()))
    };
    assert_eq!(of(|_| {}), (Ok("caracal-ipam".to_owned()), false));
    assert_eq!(of(|conf| conf["ipam"]["type"] = json!("host-local")), (Ok("host-local".to_owned()), false));
    let (missing, chained) = of(|conf| conf["ipam"] = Value::Null);
    assert!(missing.unwrap_err().starts_with("ipam: is missing; only after another plugin") && chained);
    assert_eq!(of(|conf| conf["ipam"] = json!({})), (Err("ipam.type: is missing".to_owned()), false));
    assert_eq!(of(|conf| conf["ipam"] = json!("broken")), (Err("ipam: must be an object".to_owned()), false));
}

#[test]
fn places_are_found_in_a_broken_configuration() {
    let of = |change: fn(&mut Value)| Places::of(&request(change));
    assert_eq!(of(|conf| conf["ipam"] = json!("broken")).data_dir, Path::new("/run/caracal/ipam"));
    assert_eq!(of(|conf| conf["runDir"] = json!(7)).run_dir, Path::new("/run/caracal"));
    let places = of(|conf| {
        conf["ipam"] = json!("broken");
        conf["bpffs"] = json!("relative");
        conf["runDir"] = json!("/r");
    });
    assert_eq!((places.run_dir, places.data_dir), ("/r".into(), "/r/ipam".into()));
    assert_eq!(places.bpffs, Path::new("/sys/fs/bpf/caracal"));
    let places = of(|conf| {
        conf["prevResult"] = json!("anything");
        conf["ipam"] = json!({"dataDir": "/d", "ranges": 7});
        conf["runDir"] = json!("/r");
    });
    assert_eq!((places.run_dir, places.data_dir), ("/r".into(), "/d".into()));
    let places = of(|conf| conf["ipam"] = json!({"type": "host-local", "dataDir": "/d"}));
    assert_eq!(places.data_dir, Path::new("/run/caracal/ipam"), "another IPAM's store is not ours");
}
