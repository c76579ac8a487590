//! Caracal as the node's only network plugin.

use std::path::PathBuf;

use ipnetwork::IpNetwork;

use crate::{Capabilities, CniVersion, Companion, Conflist, Entry, Ipam, Plugin, Policy, Range};

/// What our plugin serves of what a runtime may pass on.
const CAPABILITIES: &[&str] = &["bandwidth", "dns", "ipRanges", "ips", "mac", "portMappings"];
/// The same where portmap has the ports.
const CAPABILITIES_BESIDE_PORTMAP: &[&str] = &["bandwidth", "dns", "ipRanges", "ips", "mac"];

/// Plugins beside ours: portmap has the ports of a node that runs without a data plane, tuning whatever an administrator adds.
const COMPANIONS: [Companion; 2] = [
    Companion { binary: "portmap", capabilities: Capabilities(&["portMappings"]) },
    Companion { binary: "tuning", capabilities: Capabilities(&[]) },
];

/// What differs from node to node.
#[derive(Clone, Debug)]
pub struct PrimaryOptions {
    /// The network's name: state is kept under it.
    pub network: String,
    /// The node's pod subnets, one of each family that pods shall have.
    pub subnets: Vec<IpNetwork>,
    /// Which versions of the specification to offer.
    pub version: CniVersion,
    /// Whether a pod may start without the data plane.
    pub policy: Policy,
    /// The pods' MTU; that of the default route if not given.
    pub mtu: Option<u32>,
    /// Where the data plane is pinned, if not in its usual place.
    pub bpffs: Option<PathBuf>,
    /// Where state is kept, if not in its usual place.
    pub run_dir: Option<PathBuf>,
    /// How much is logged, if not warnings.
    pub log_level: Option<String>,
    /// Whether portmap and tuning come after us.
    pub companions: bool,
}

impl PrimaryOptions {
    /// A network with the usual settings.
    #[must_use]
    pub fn new(network: impl Into<String>, subnets: Vec<IpNetwork>) -> Self {
        Self {
            network: network.into(),
            subnets,
            version: CniVersion::default(),
            policy: Policy::default(),
            mtu: None,
            bpffs: None,
            run_dir: None,
            log_level: None,
            companions: false,
        }
    }
}

/// The network in which Caracal gives pods their interfaces and addresses.
#[must_use]
pub fn primary(options: &PrimaryOptions) -> Conflist {
    let PrimaryOptions { network, subnets, version, policy, mtu, bpffs, run_dir, log_level, companions } =
        options.clone();
    let ranges = subnets.into_iter().map(|subnet| vec![Range { subnet }]).collect();
    let capabilities = if companions { CAPABILITIES_BESIDE_PORTMAP } else { CAPABILITIES };
    let ipam = Some(Ipam { kind: "caracal-ipam", ranges });
    let ours = Plugin { policy, mtu, bpffs, run_dir, log_level, ipam, ..Plugin::new(capabilities) };
    let companions = COMPANIONS.into_iter().filter(|_| companions).map(Entry::Companion);
    Conflist::new(version, network, [Entry::Ours(ours)].into_iter().chain(companions).collect())
}

#[cfg(test)]
mod tests {
    use caracal_ipam::{Config, json::Node};
    use serde_json::{Value, json};

    use super::*;

    fn subnets(subnets: &[&str]) -> Vec<IpNetwork> {
        subnets.iter().map(|subnet| subnet.parse().unwrap()).collect()
    }

    const V4: &str = r#"{
  "cniVersion": "1.0.0",
  "cniVersions": [
    "1.0.0",
    "1.1.0"
  ],
  "name": "k8s-pod-network",
  "plugins": [
    {
      "type": "caracal",
      "capabilities": {
        "bandwidth": true,
        "dns": true,
        "ipRanges": true,
        "ips": true,
        "mac": true,
        "portMappings": true
      },
      "policy": "none",
      "ipam": {
        "type": "caracal-ipam",
        "ranges": [
          [
            {
              "subnet": "10.244.1.0/24"
            }
          ]
        ]
      }
    }
  ]
}
"#;

    #[test]
    fn ipv4() {
        let conflist = primary(&PrimaryOptions::new("k8s-pod-network", subnets(&["10.244.1.0/24"])));
        assert_eq!(conflist.to_json(), V4);
        assert_eq!(conflist.to_string(), V4);
    }

    const DUAL_STACK: &str = r#"{
  "cniVersion": "1.1.0",
  "name": "pods",
  "plugins": [
    {
      "type": "caracal",
      "capabilities": {
        "bandwidth": true,
        "dns": true,
        "ipRanges": true,
        "ips": true,
        "mac": true,
        "portMappings": true
      },
      "policy": "required",
      "mtu": 1450,
      "bpffs": "/sys/fs/bpf/lab",
      "runDir": "/run/lab",
      "logLevel": "debug",
      "ipam": {
        "type": "caracal-ipam",
        "ranges": [
          [
            {
              "subnet": "10.244.1.0/24"
            }
          ],
          [
            {
              "subnet": "fd00:244:1::/64"
            }
          ]
        ]
      }
    }
  ]
}
"#;

    #[test]
    fn dual_stack_with_everything_set() {
        let options = PrimaryOptions {
            version: CniVersion::V1_1_0,
            policy: Policy::Required,
            mtu: Some(1450),
            bpffs: Some("/sys/fs/bpf/lab".into()),
            run_dir: Some("/run/lab".into()),
            log_level: Some("debug".to_owned()),
            ..PrimaryOptions::new("pods", subnets(&["10.244.1.0/24", "fd00:244:1::/64"]))
        };
        assert_eq!(primary(&options).to_json(), DUAL_STACK);
    }

    #[test]
    fn with_companions() {
        let options = PrimaryOptions { companions: true, ..PrimaryOptions::new("pods", subnets(&["10.244.1.0/24"])) };
        let list: Value = serde_json::from_str(&primary(&options).to_json()).unwrap();
        assert_eq!(list["plugins"][0]["capabilities"]["portMappings"], Value::Null, "one of them has the ports");
        assert_eq!(list["plugins"][1], json!({"type": "portmap", "capabilities": {"portMappings": true}}));
        assert_eq!(list["plugins"][2], json!({"type": "tuning"}));
        assert_eq!(list["plugins"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn our_own_ipam_reads_every_list() {
        let families: [&[&str]; 3] = [&["10.244.1.0/24"], &["fd00:244:1::/64"], &["10.244.1.0/24", "fd00:244:1::/64"]];
        for family in families {
            for version in [CniVersion::V1_0_0, CniVersion::V1_1_0, CniVersion::Newest] {
                let options = PrimaryOptions { version, ..PrimaryOptions::new("pods", subnets(family)) };
                let list: Value = serde_json::from_str(&primary(&options).to_json()).unwrap();
                let plugin = Node::root(&list).get("plugins").unwrap().unwrap().elements().unwrap().remove(0);
                let config = Config::parse(&plugin.get("ipam").unwrap().unwrap(), None).unwrap();
                assert_eq!(config.sets.len(), family.len());
            }
        }
    }
}
