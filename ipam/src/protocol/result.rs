//! The result of ADD, and what older versions of the specification want to see of it.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Version;

/// What ADD made, in the shape of 1.1.0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AddResult {
    /// The version whose shape it has; set by [`AddResult::in_version`].
    pub cni_version: String,
    /// Links, the host's without a sandbox.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<Interface>,
    /// Addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ips: Vec<Ip>,
    /// Routes in the container.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// Resolver settings.
    #[serde(skip_serializing_if = "Dns::is_empty")]
    pub dns: Dns,
}

/// What a successful ADD answers with.
#[derive(Clone, Debug, PartialEq)]
pub enum Added {
    /// What it made, to be told in the version of the configuration.
    Made(AddResult),
    /// What a plugin before it made, to be told as that told it.
    Unchanged(Value),
}

impl From<AddResult> for Added {
    fn from(result: AddResult) -> Self {
        Self::Made(result)
    }
}

/// A link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its hardware address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Its MTU; since 1.1.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// The namespace it is in; none for the host's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
}

/// An address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ip {
    /// The family, `4` or `6`; until 0.4.0, set by [`AddResult::in_version`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Index into the interfaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<usize>,
    /// The address and the length of its prefix.
    pub address: IpNetwork,
    /// Where packets to elsewhere go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where to.
    pub dst: IpNetwork,
    /// Through whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gw: Option<IpAddr>,
    /// MTU along it; since 1.1.0, as all that follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Advertised maximum segment size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advmss: Option<u32>,
    /// Metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    /// Routing table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<u32>,
    /// Scope, as the kernel numbers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<u8>,
}

/// Resolver settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dns {
    /// Name servers, best first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<String>,
    /// The local domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Domains to complete short names with.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    /// Options of the resolver.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

impl AddResult {
    /// The same as a configuration of `version` expects it: new fields left out, old ones filled in.
    #[must_use]
    pub fn in_version(mut self, version: Version) -> Self {
        version.text().clone_into(&mut self.cni_version);
        for ip in &mut self.ips {
            let family = if ip.address.is_ipv4() { "4" } else { "6" };
            ip.version = (version < Version::V1_0_0).then(|| family.to_owned());
        }
        if version < Version::V1_1_0 {
            for interface in &mut self.interfaces {
                interface.mtu = None;
            }
            for route in &mut self.routes {
                *route = Route { gw: route.gw, ..Route::to(route.dst) };
            }
        }
        self
    }
}

impl Ip {
    /// An address without gateway and interface.
    #[must_use]
    pub fn new(address: IpNetwork) -> Self {
        Self { version: None, interface: None, address, gateway: None }
    }
}

impl Route {
    /// A route that says nothing but where it goes.
    #[must_use]
    pub fn to(dst: IpNetwork) -> Self {
        Self { dst, gw: None, mtu: None, advmss: None, priority: None, table: None, scope: None }
    }
}

impl Dns {
    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn result() -> AddResult {
        let ip = |text: &str| Ip { interface: Some(1), ..Ip::new(text.parse().unwrap()) };
        AddResult {
            interfaces: vec![
                Interface { name: "cc0".to_owned(), mtu: Some(1500), ..Interface::default() },
                Interface {
                    name: "eth0".to_owned(),
                    mac: Some("02:00:00:00:00:01".to_owned()),
                    mtu: Some(1500),
                    sandbox: Some("/n".to_owned()),
                },
            ],
            ips: vec![ip("10.0.0.2/32"), ip("fd00::2/128")],
            routes: vec![Route {
                gw: Some("169.254.1.1".parse().unwrap()),
                mtu: Some(1400),
                ..Route::to("0.0.0.0/0".parse().unwrap())
            }],
            ..AddResult::default()
        }
    }

    fn rendered(version: Version) -> Value {
        serde_json::to_value(result().in_version(version)).unwrap()
    }

    #[test]
    fn every_version_gets_its_own_shape() {
        let newest = json!({
            "cniVersion": "1.1.0",
            "interfaces": [
                {"name": "cc0", "mtu": 1500},
                {"name": "eth0", "mac": "02:00:00:00:00:01", "mtu": 1500, "sandbox": "/n"},
            ],
            "ips": [{"interface": 1, "address": "10.0.0.2/32"}, {"interface": 1, "address": "fd00::2/128"}],
            "routes": [{"dst": "0.0.0.0/0", "gw": "169.254.1.1", "mtu": 1400}],
        });
        assert_eq!(rendered(Version::V1_1_0), newest);
        let mut older = newest;
        older["cniVersion"] = json!("1.0.0");
        older["routes"] = json!([{"dst": "0.0.0.0/0", "gw": "169.254.1.1"}]);
        for interface in older["interfaces"].as_array_mut().unwrap() {
            interface.as_object_mut().unwrap().remove("mtu");
        }
        assert_eq!(rendered(Version::V1_0_0), older);
        for (ip, family) in older["ips"].as_array_mut().unwrap().iter_mut().zip(["4", "6"]) {
            ip["version"] = json!(family);
        }
        for version in [Version::V0_4_0, Version::V0_3_1, Version::V0_3_0] {
            older["cniVersion"] = json!(version.text());
            assert_eq!(rendered(version), older);
        }
    }

    #[test]
    fn a_result_reads_back_in_any_version() {
        for version in Version::ALL {
            let read: AddResult = serde_json::from_value(rendered(version)).unwrap();
            assert_eq!(read, result().in_version(version));
        }
        let foreign = json!({"cniVersion": "0.3.0", "interfaces": [{"name": "eth0"}], "dns": {}, "extra": 1,
            "ips": [{"version": "4", "address": "10.244.1.7/16", "gateway": "169.254.1.1"}]});
        let read: AddResult = serde_json::from_value(foreign).unwrap();
        assert_eq!(read.ips[0].interface, None);
        assert_eq!(read.interfaces[0].sandbox, None);
    }
}
