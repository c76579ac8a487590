//! Writes the calls the fuzzer starts from: `seed_calls <directory>`.

use std::{env, error::Error, fs, path::PathBuf};

use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = PathBuf::from(env::args_os().nth(1).ok_or("usage: seed_calls <directory>")?);
    fs::create_dir_all(&directory)?;
    for (name, verb, args, conf) in seeds() {
        let variables = [verb, "c1", "eth0", "/run/netns/c1", args, "/opt/cni/bin:/usr/lib/cni", "1"].join("\0");
        fs::write(directory.join(name), format!("{variables}\n{conf}"))?;
    }
    fs::write(directory.join("nothing"), "")?;
    fs::write(directory.join("missing"), "ADD\n{}")?;
    Ok(())
}

fn conf(version: &str, ipam: Value) -> Value {
    let mut conf = json!({"cniVersion": version, "name": "net", "type": "caracal"});
    conf["ipam"] = ipam;
    conf
}

fn dual() -> Value {
    json!({"type": "caracal-ipam", "ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00:1::/64"}]]})
}

fn with(mut conf: Value, key: &str, value: Value) -> Value {
    conf[key] = value;
    conf
}

fn seeds() -> Vec<(&'static str, &'static str, &'static str, Value)> {
    let everything = json!({
        "type": "caracal-ipam", "subnet": "10.9.0.0/24", "rangeStart": "10.9.0.10", "rangeEnd": "10.9.0.20",
        "gateway": "10.9.0.254", "exclude": ["10.9.0.12/31", "fd00:1::2"],
        "ranges": [[{"subnet": "10.1.0.0/29", "exclude": ["10.1.0.4"]}, {"subnet": "10.2.0.0/29"}], [{"subnet": "fd00:1::/64"}]],
        "routes": [{"dst": "0.0.0.0/0", "gw": "10.9.0.1", "mtu": 1400, "priority": 7, "table": 9, "scope": 253, "advmss": 1300}],
        "dataDir": "/run/x", "hostLocalDir": "/var/lib/cni/networks/cbr0", "resolvConf": "/etc/resolv.conf",
    });
    let runtime = json!({
        "ips": ["10.1.0.7/24", "fd00:1::7"], "mac": "c2:11:22:33:44:55",
        "ipRanges": [[{"subnet": "10.3.0.0/24", "rangeStart": "10.3.0.9"}]],
        "dns": {"servers": ["10.96.0.10"], "searches": ["a.example"], "options": ["ndots:5"]},
    });
    let previous = json!({
        "cniVersion": "0.3.0", "interfaces": [{"name": "eth0", "mac": "aa:aa:aa:aa:aa:aa", "sandbox": "/run/netns/c1"}],
        "ips": [{"version": "4", "address": "10.244.1.7/16", "gateway": "169.254.1.1", "interface": 0}],
        "routes": [{"dst": "0.0.0.0/0", "gw": "169.254.1.1"}], "dns": {},
    });
    let valid = json!([{"containerID": "c1", "ifname": "eth0"}, {"containerID": "/", "ifname": ""}]);
    let logs = json!({"cniVersion": "1.0.0", "name": "net", "ipam": dual(), "logFile": "/x", "log_level": "Debug",
        "log_file_max_size": 2, "logFileMaxAge": 3, "logFileMaxCount": 4});
    let args = json!({"cni": {"ips": ["10.1.0.9"], "mac": "02-00-00-00-00-01", "labels": []}});
    vec![
        ("add-030", "ADD", "", conf("0.3.0", dual())),
        ("add-110", "ADD", "IgnoreUnknown=1;K8S_POD_NAMESPACE=a;K8S_POD_NAME=b", conf("1.1.0", dual())),
        ("add-everything", "ADD", "", conf("1.0.0", everything)),
        ("add-runtime", "ADD", "", with(conf("1.0.0", dual()), "runtimeConfig", runtime)),
        ("add-args", "ADD", "", with(conf("0.4.0", dual()), "args", args)),
        ("add-environment", "ADD", "IP=10.1.0.7,fd00:1::7/64;MAC=02:00:00:00:00:01", conf("0.3.1", dual())),
        ("add-chained", "ADD", "", with(conf("0.3.0", Value::Null), "prevResult", previous)),
        ("add-logs", "ADD", "", logs),
        ("del", "DEL", "A=b=c", conf("0.4.0", json!("broken"))),
        ("check", "CHECK", "", conf("0.4.0", dual())),
        ("gc", "GC", "", with(conf("1.1.0", dual()), "cni.dev/valid-attachments", valid)),
        ("status", "STATUS", "", conf("1.1.0", dual())),
        ("version", "VERSION", "", json!({"cniVersion": "1.1.0"})),
    ]
}
