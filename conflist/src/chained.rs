//! Caracal behind a vendor's network plugin.
//!
//! The list is the vendor's: what it says, including what only the vendor understands, and its `cniVersion` stay as
//! they are. Ours is the last plugin, so that it comes after everything that makes the interface and, because DEL goes
//! backwards, takes its programs off before anything else goes. It has no `ipam`: that is how the plugin knows on DEL,
//! which has no previous result before 0.4.0, that interface and addresses are not its own.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::{BINARY, Plugin, Policy};

/// What a node of Azure's node-subnet network has as `10-azure.conflist`: azure-vnet in transparent mode.
pub const AZURE_TRANSPARENT: &str = r#"{
  "cniVersion": "0.3.0",
  "name": "azure",
  "plugins": [
    {
      "type": "azure-vnet",
      "mode": "transparent",
      "ipsToRouteViaHost": [
        "169.254.20.10"
      ],
      "ipam": {
        "type": "azure-vnet-ipam"
      }
    },
    {
      "type": "portmap",
      "capabilities": {
        "portMappings": true
      },
      "snat": true
    }
  ]
}
"#;

/// What differs from node to node.
#[derive(Clone, Debug, Default)]
pub struct ChainedOptions {
    /// Whether a pod may start without the data plane.
    pub policy: Policy,
    /// Where the data plane is pinned, if not in its usual place.
    pub bpffs: Option<PathBuf>,
    /// Where state is kept, if not in its usual place.
    pub run_dir: Option<PathBuf>,
    /// How much is logged, if not warnings.
    pub log_level: Option<String>,
}

/// A vendor's list that cannot be added to.
#[derive(Debug, thiserror::Error)]
pub enum InvalidList {
    /// It is no JSON.
    #[error("the vendor's list is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It has nothing to come after.
    #[error("the vendor's list has no plugins to come after; it must be an object with a list \"plugins\"")]
    NoPlugins,
}

/// The list `vendor` with our plugin as its last. One that is in it already is replaced, so a second time changes
/// nothing.
pub fn chained(vendor: &str, options: &ChainedOptions) -> Result<String, InvalidList> {
    let ChainedOptions { policy, bpffs, run_dir, log_level } = options.clone();
    let ours = Plugin { binary: BINARY, capabilities: None, policy, mtu: None, bpffs, run_dir, log_level, ipam: None };
    let mut list: Value = serde_json::from_str(vendor)?;
    let plugins = list.get_mut("plugins").and_then(Value::as_array_mut).ok_or(InvalidList::NoPlugins)?;
    plugins.retain(|plugin| plugin["type"] != json!(BINARY));
    if plugins.is_empty() {
        return Err(InvalidList::NoPlugins);
    }
    plugins.push(serde_json::to_value(ours)?);
    Ok(serde_json::to_string_pretty(&list)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn after_azures_transparent_mode() {
        let list = chained(AZURE_TRANSPARENT, &ChainedOptions::default()).unwrap();
        let mut expected = value(AZURE_TRANSPARENT);
        expected["plugins"].as_array_mut().unwrap().push(json!({"type": "caracal", "policy": "none"}));
        assert_eq!(value(&list), expected);
        assert_eq!(expected["cniVersion"], "0.3.0");
        assert!(list.ends_with("}\n"));
    }

    #[test]
    fn again_it_changes_nothing_but_what_is_ours() {
        let once = chained(AZURE_TRANSPARENT, &ChainedOptions::default()).unwrap();
        assert_eq!(chained(&once, &ChainedOptions::default()).unwrap(), once);
        let options = ChainedOptions {
            policy: Policy::Required,
            bpffs: Some("/sys/fs/bpf/lab".into()),
            run_dir: Some("/run/lab".into()),
            log_level: Some("debug".to_owned()),
        };
        let ours = json!({"type": "caracal", "policy": "required", "bpffs": "/sys/fs/bpf/lab", "runDir": "/run/lab",
            "logLevel": "debug"});
        let list = value(&chained(&once, &options).unwrap());
        assert_eq!(list["plugins"].as_array().unwrap().len(), 3);
        assert_eq!(list["plugins"][2], ours);
    }

    #[test]
    fn what_only_the_vendor_understands_stays() {
        let vendor = json!({"cniVersion": "0.3.1", "name": "v", "disableCheck": true, "x": [1.5, null],
            "plugins": [{"type": "v", "y": {"z": 18_446_744_073_709_551_615_u64}}]});
        let mut list = value(&chained(&vendor.to_string(), &ChainedOptions::default()).unwrap());
        list["plugins"].as_array_mut().unwrap().pop();
        assert_eq!(list, vendor);
    }

    #[test]
    fn a_list_with_nothing_to_come_after_is_refused() {
        let refused = |text: &str| chained(text, &ChainedOptions::default()).unwrap_err().to_string();
        assert!(refused("{").starts_with("the vendor's list is not JSON: "));
        for text in ["[]", "{}", r#"{"plugins": []}"#, r#"{"plugins": [{"type": "caracal"}]}"#, r#"{"plugins": 1}"#] {
            assert!(refused(text).starts_with("the vendor's list has no plugins to come after"), "{text}");
        }
    }
}
