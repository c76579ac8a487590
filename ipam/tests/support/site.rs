//! A node with its store, and the plugin called on it in one version of the specification.

use std::{fs, net::IpAddr};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::binary::{Answer, answer, start};

const VERSIONS: [&str; 5] = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

/// A node that nothing has been given out on, and a version to speak.
pub struct Site {
    pub dir: TempDir,
    pub version: &'static str,
}

/// Does the same in every version, each time on a new node.
pub fn every_version(test: impl Fn(&Site)) {
    for version in VERSIONS {
        test(&Site::new(version));
    }
}

impl Site {
    pub fn new(version: &'static str) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), version }
    }

    /// A configuration with this `ipam` object.
    pub fn conf(&self, mut ipam: Value) -> Value {
        ipam["type"] = json!("caracal-ipam");
        ipam["hostLocalDir"] = json!(self.dir.path().join("host-local"));
        if ipam["dataDir"].is_null() {
            ipam["dataDir"] = json!(self.dir.path().join("store"));
        }
        let mut conf = json!({"cniVersion": self.version, "name": "net", "type": "ptp"});
        conf["ipam"] = ipam;
        conf
    }

    /// A range set per subnet.
    pub fn pool(&self, subnets: &[&str]) -> Value {
        self.conf(json!({"ranges": subnets.iter().map(|subnet| json!([{"subnet": subnet}])).collect::<Vec<_>>()}))
    }

    /// What is given to an interface, in the shape of the version.
    #[track_caller]
    pub fn add_to(&self, container: &str, ifname: &str, args: &str, conf: &Value) -> Vec<String> {
        let answer = answer(start("ADD", container, ifname, args, conf));
        assert_eq!(answer.exit, 0, "{answer:?}");
        assert_eq!(answer.document["cniVersion"], self.version);
        let ips = answer.document["ips"].as_array().unwrap();
        for ip in ips {
            let family = if ip["address"].as_str().unwrap().contains(':') { "6" } else { "4" };
            assert_eq!(ip["version"], if self.version < "1.0.0" { json!(family) } else { Value::Null });
            assert_eq!(ip["interface"], Value::Null);
        }
        ips.iter().map(|ip| ip["address"].as_str().unwrap().to_owned()).collect()
    }

    #[track_caller]
    pub fn add(&self, container: &str, conf: &Value) -> Vec<String> {
        self.add_to(container, "eth0", "", conf)
    }

    /// Code and message of an ADD that must fail.
    #[track_caller]
    pub fn refused(&self, container: &str, args: &str, conf: &Value) -> (u64, String) {
        let Answer { document, exit, stderr } = answer(start("ADD", container, "eth0", args, conf));
        assert_eq!((exit, &document["cniVersion"]), (1, &json!(self.version)), "{document} {stderr}");
        (document["code"].as_u64().unwrap(), document["msg"].as_str().unwrap().to_owned())
    }

    #[track_caller]
    pub fn del(&self, container: &str, ifname: &str, conf: &Value) {
        assert_eq!(conf["cniVersion"], self.version);
        let answer = answer(start("DEL", container, ifname, "", conf));
        assert_eq!((answer.exit, &answer.document), (0, &Value::Null), "{answer:?}");
    }

    /// Whether CHECK passes; none in a version without it.
    pub fn check(&self, container: &str, conf: &Value) -> Option<bool> {
        let answer = answer(start("CHECK", container, "eth0", "", conf));
        if self.version < "0.4.0" {
            assert_eq!(answer.document["code"], 1);
            return None;
        }
        Some(answer.exit == 0)
    }

    /// The addresses that are held.
    pub fn held(&self) -> Vec<String> {
        let Ok(listing) = fs::read_dir(self.dir.path().join("store/net")) else { return Vec::new() };
        let names = listing.map(|item| item.unwrap().file_name().into_string().unwrap());
        let mut held: Vec<_> = names.filter(|name| name.parse::<IpAddr>().is_ok()).collect();
        held.sort();
        held
    }

    /// Leaves a file as host-local does.
    pub fn host_local(&self, ip: &str, text: &str) {
        let dir = self.dir.path().join("host-local");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(ip), text).unwrap();
    }
}
