//! Caracal behind a vendor's network plugin.
//!
//! The list is the vendor's: what it says, including what only the vendor understands, and its `cniVersion` stay as
//! they are. Ours is the last plugin, so that it comes after everything that makes the interface and, because DEL goes
//! backwards, takes its programs off before anything else goes. It has no `ipam`: that is how the plugin knows on DEL,
//! which has no previous result before 0.4.0, that interface and addresses are not its own.

use std::{fmt, path::PathBuf};

use serde::{
    Deserialize, Serialize, Serializer,
    de::{Deserializer, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{BINARY, Plugin, Policy};

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

/// A list, of which everything but our plugin stays the text that it was: a number with more digits than a computer's
/// has would not survive being understood.
struct List<'a>(Vec<(String, Value<'a>)>);

enum Value<'a> {
    Other(&'a RawValue),
    Plugins(Vec<&'a RawValue>, Plugin),
}

/// All that has to be known of a plugin.
#[derive(Deserialize)]
struct Typed {
    #[serde(rename = "type")]
    binary: Option<String>,
}

/// The list `vendor` with our plugin as its last. One that is in it already is replaced, so a second time changes
/// nothing.
pub fn chained(vendor: &str, options: &ChainedOptions) -> Result<String, InvalidList> {
    let ChainedOptions { policy, bpffs, run_dir, log_level } = options.clone();
    let ours = Plugin { policy, bpffs, run_dir, log_level, ..Plugin::new(&[]) };
    serde_json::from_str::<serde::de::IgnoredAny>(vendor)?;
    let mut list: List<'_> = serde_json::from_str(vendor).map_err(|_not_an_object| InvalidList::NoPlugins)?;
    let plugins = list.0.iter_mut().find(|(key, _)| key == "plugins").map(|(_, value)| value);
    let Some(value @ Value::Other(_)) = plugins else { return Err(InvalidList::NoPlugins) };
    let others = others(value)?;
    *value = Value::Plugins(others, ours);
    Ok(serde_json::to_string_pretty(&list)? + "\n")
}

/// The plugins that are not ours; at least one.
fn others<'a>(plugins: &Value<'a>) -> Result<Vec<&'a RawValue>, InvalidList> {
    let Value::Other(plugins) = plugins else { return Err(InvalidList::NoPlugins) };
    let mut plugins: Vec<&RawValue> =
        serde_json::from_str(plugins.get()).map_err(|_not_a_list| InvalidList::NoPlugins)?;
    let is_ours = |plugin: &RawValue| {
        serde_json::from_str::<Typed>(plugin.get()).is_ok_and(|plugin| plugin.binary.as_deref() == Some(BINARY))
    };
    plugins.retain(|plugin| !is_ours(plugin));
    if plugins.is_empty() { Err(InvalidList::NoPlugins) } else { Ok(plugins) }
}

impl<'de> Deserialize<'de> for List<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = List<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<List<'de>, A::Error> {
                let mut list = Vec::new();
                while let Some((key, value)) = map.next_entry()? {
                    list.push((key, Value::Other(value)));
                }
                Ok(List(list))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

impl Serialize for List<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Entry<'a> {
            Other(&'a RawValue),
            Ours(&'a Plugin),
        }

        match self {
            Value::Other(value) => value.serialize(serializer),
            Value::Plugins(others, ours) => {
                let others = others.iter().map(|other| Entry::Other(other));
                serializer.collect_seq(others.chain([Entry::Ours(ours)]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::AZURE;

    fn value(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn after_azure_vnet_whatever_the_network() {
        for vendor in AZURE {
            let list = chained(vendor.content, &ChainedOptions::default()).unwrap();
            let mut expected = value(vendor.content);
            expected["plugins"].as_array_mut().unwrap().push(json!({"type": "caracal", "policy": "none"}));
            assert_eq!(value(&list), expected, "{}", vendor.network);
            assert!(list.ends_with("}\n"));
        }
    }

    #[test]
    fn the_vendors_text_stays_as_it_was() {
        let vendor = r#"{
  "zeta": 1.10, "name": "v", "big": 123456789012345678901234567890, "small": 1e-400,
  "plugins": [
    {"type": "v", "b": 0.30000000000000004440892098500626, "a": [1E2, -0]}
  ],
  "alpha": {"z": 1, "a": 2}
}"#;
        let list = chained(vendor, &ChainedOptions::default()).unwrap();
        for kept in [
            "\"zeta\": 1.10",
            "123456789012345678901234567890",
            "1e-400",
            r#"{"type": "v", "b": 0.30000000000000004440892098500626, "a": [1E2, -0]}"#,
            r#"{"z": 1, "a": 2}"#,
        ] {
            assert!(list.contains(kept), "{kept} in {list}");
        }
        let order: Vec<_> = ["zeta", "name", "big", "small", "plugins", "alpha"].map(|key| list.find(key)).to_vec();
        assert!(order.is_sorted() && order.iter().all(Option::is_some), "{list}");
    }

    #[test]
    fn again_it_changes_nothing_but_what_is_ours() {
        let once = chained(AZURE[0].content, &ChainedOptions::default()).unwrap();
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
