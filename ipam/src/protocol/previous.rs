//! The result of the plugins before this one in its list: `prevResult`.
//!
//! A plugin that changes nothing of it must lose nothing of it, also not what it has never heard of. So it stays the
//! JSON it came as, and what is read from it is read with a light hand: it was written by somebody else.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde_json::{Map, Value, json};

use super::{Request, Version};
use crate::json::FieldError;

/// `prevResult` of a configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Previous(Map<String, Value>);

impl Previous {
    /// The previous result, if there is one.
    pub fn of(request: &Request) -> Result<Option<Self>, FieldError> {
        let Some(node) = request.conf().get("prevResult")? else { return Ok(None) };
        let object = node.value().as_object().ok_or_else(|| node.error("must be an object"))?;
        Ok(Some(Self(object.clone())))
    }

    /// The addresses in it, in its order; what is no address is passed over.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        let ips = self.0.get("ips").and_then(Value::as_array).into_iter().flatten();
        ips.filter_map(address).collect()
    }

    /// The same result in `version`, to be answered with. Runtimes hand it over in the version of the configuration,
    /// and then it stays as it is. One without a version, or of another one, is brought to that shape.
    #[must_use]
    pub fn in_version(self, version: Version) -> Value {
        let Self(mut result) = self;
        if result.get("cniVersion").and_then(Value::as_str) == Some(version.text()) {
            return Value::Object(result);
        }
        result.insert("cniVersion".to_owned(), json!(version.text()));
        for ip in result.get_mut("ips").and_then(Value::as_array_mut).into_iter().flatten() {
            let family = address(ip).map(|ip| if ip.is_ipv4() { "4" } else { "6" });
            let Some(ip) = ip.as_object_mut() else { continue };
            if version >= Version::V1_0_0 {
                ip.remove("version");
            } else if let Some(family) = family {
                ip.insert("version".to_owned(), json!(family));
            }
        }
        Value::Object(result)
    }
}

fn address(ip: &Value) -> Option<IpAddr> {
    Some(ip.get("address")?.as_str()?.parse::<IpNetwork>().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Args;

    fn previous(result: &Value) -> Result<Option<Previous>, FieldError> {
        let conf = json!({"cniVersion": "0.3.0", "name": "net", "prevResult": result});
        let request =
            Request { version: Version::V0_3_0, network: "net".to_owned(), conf, args: Args::default(), path: vec![] };
        Previous::of(&request)
    }

    /// As azure-vnet writes it, and a little more.
    fn azure() -> Value {
        json!({
            "cniVersion": "0.3.0",
            "interfaces": [{"name": "eth0", "pciID": ""}],
            "ips": [
                {"version": "4", "address": "10.244.1.7/16", "gateway": "169.254.1.1", "unheard": {"of": null}},
                {"version": "6", "address": "fd00::7/64"},
            ],
            "routes": [{"dst": "0.0.0.0/0", "gw": "169.254.1.1"}],
            "dns": {},
            "unknown": [1.5, 18_446_744_073_709_551_615_u64],
        })
    }

    #[test]
    fn nothing_is_lost_in_the_same_version() {
        let result = previous(&azure()).unwrap().unwrap();
        assert_eq!(result.addresses(), ["10.244.1.7".parse::<IpAddr>().unwrap(), "fd00::7".parse().unwrap()]);
        assert_eq!(result.in_version(Version::V0_3_0), azure());
    }

    #[test]
    fn another_version_changes_only_what_versions_differ_in() {
        let result = previous(&azure()).unwrap().unwrap();
        let mut newer = azure();
        newer["cniVersion"] = json!("1.0.0");
        for ip in newer["ips"].as_array_mut().unwrap() {
            ip.as_object_mut().unwrap().remove("version");
        }
        assert_eq!(result.in_version(Version::V1_0_0), newer);
        let unversioned = {
            newer.as_object_mut().unwrap().remove("cniVersion");
            previous(&newer).unwrap().unwrap()
        };
        assert_eq!(unversioned.in_version(Version::V0_3_0), azure());
    }

    #[test]
    fn what_makes_no_sense_is_passed_over_and_kept() {
        let odd = json!({"cniVersion": "0.4.0", "ips": [7, {}, {"address": "x"}, {"address": "10.0.0.1/24"}]});
        let result = previous(&odd).unwrap().unwrap();
        assert_eq!(result.addresses(), ["10.0.0.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(result.in_version(Version::V0_3_0)["ips"][0], 7);
        let result = previous(&json!({"ips": "none"})).unwrap().unwrap();
        assert_eq!(result.in_version(Version::V1_1_0), json!({"cniVersion": "1.1.0", "ips": "none"}));
        assert_eq!(previous(&Value::Null).unwrap(), None);
        assert_eq!(previous(&json!([])).unwrap_err().to_string(), "prevResult: must be an object");
    }
}
