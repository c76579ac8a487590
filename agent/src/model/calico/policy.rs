//! `NetworkPolicy`, `GlobalNetworkPolicy` and `Tier`.

use std::collections::BTreeMap;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{nullable::nullable, policy::Direction};

/// What a policy of Calico says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CalicoPolicySpec {
    /// Its tier.
    #[serde(deserialize_with = "default_tier")]
    pub tier: String,
    /// The lower comes first; none: last.
    pub order: Option<f64>,
    /// Whom it is about.
    #[serde(deserialize_with = "nullable")]
    pub selector: String,
    /// In which namespaces.
    #[serde(deserialize_with = "nullable")]
    pub namespace_selector: String,
    /// Running as whom.
    #[serde(deserialize_with = "nullable")]
    pub service_account_selector: String,
    /// In which directions; none: in those that have rules, and for ingress if there are no rules.
    #[serde(deserialize_with = "nullable")]
    pub types: Vec<Direction>,
    /// What reaches them, the first that fits decides.
    #[serde(deserialize_with = "nullable")]
    pub ingress: Vec<CalicoRule>,
    /// What they reach.
    #[serde(deserialize_with = "nullable")]
    pub egress: Vec<CalicoRule>,
    /// Enforced on each packet by itself, before anything else.
    #[serde(deserialize_with = "nullable")]
    pub do_not_track: bool,
    /// Enforced before addresses are translated.
    #[serde(rename = "preDNAT", deserialize_with = "nullable")]
    pub pre_dnat: bool,
    /// Enforced on what the node forwards, too.
    #[serde(deserialize_with = "nullable")]
    pub apply_on_forward: bool,
    /// How it should be compiled.
    #[serde(deserialize_with = "nullable")]
    pub performance_hints: Vec<String>,
}

fn default_tier<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let tier = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    Ok(if tier.is_empty() { "default".to_owned() } else { tier })
}

impl CalicoPolicySpec {
    /// The tier; who names none means this one.
    #[must_use]
    pub fn tier(&self) -> &str {
        if self.tier.is_empty() { "default" } else { &self.tier }
    }
}

/// What becomes of what fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are Calico's")]
pub enum CalicoAction {
    Allow,
    Deny,
    Log,
    Pass,
}

/// A rule: all that it says must fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CalicoRule {
    /// What becomes of what fits.
    pub action: CalicoAction,
    /// 4 or 6.
    pub ip_version: Option<u8>,
    /// The protocol.
    pub protocol: Option<ProtocolSpec>,
    /// Any protocol but this.
    pub not_protocol: Option<ProtocolSpec>,
    /// Messages of ICMP.
    pub icmp: Option<Icmp>,
    /// Any message but this.
    #[serde(rename = "notICMP")]
    pub not_icmp: Option<Icmp>,
    /// From whom.
    #[serde(default, deserialize_with = "nullable")]
    pub source: EntityRule,
    /// To whom.
    #[serde(default, deserialize_with = "nullable")]
    pub destination: EntityRule,
    /// What is asked for, which takes a proxy to see.
    pub http: Option<HttpMatch>,
    /// For people.
    #[serde(skip_serializing)]
    pub metadata: Option<BTreeMap<String, Value>>,
}

/// A protocol by number or by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "it is said above")]
pub enum ProtocolSpec {
    Number(u8),
    Name(String),
}

/// A message of ICMP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Icmp {
    /// None: all.
    #[serde(rename = "type")]
    pub kind: Option<u8>,
    /// None: all.
    pub code: Option<u8>,
}

/// Somebody: all that it says must fit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EntityRule {
    /// With one of these addresses.
    #[serde(deserialize_with = "nullable")]
    pub nets: Vec<IpNetwork>,
    /// With none of these.
    #[serde(deserialize_with = "nullable")]
    pub not_nets: Vec<IpNetwork>,
    /// With these labels.
    #[serde(deserialize_with = "nullable")]
    pub selector: String,
    /// Without these labels.
    #[serde(deserialize_with = "nullable")]
    pub not_selector: String,
    /// In these namespaces.
    #[serde(deserialize_with = "nullable")]
    pub namespace_selector: String,
    /// With one of these ports.
    #[serde(deserialize_with = "nullable")]
    pub ports: Vec<PortSpec>,
    /// With none of these.
    #[serde(deserialize_with = "nullable")]
    pub not_ports: Vec<PortSpec>,
    /// Running as one of these.
    pub service_accounts: Option<ServiceAccounts>,
    /// An endpoint of this service.
    pub services: Option<ServiceMatch>,
}

/// A port, several, or one as the pod calls it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "it is said above")]
pub enum PortSpec {
    Number(u16),
    Range { first: u16, last: u16 },
    Name(String),
}

/// Service accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceAccounts {
    /// One of these; none: any.
    #[serde(deserialize_with = "nullable")]
    pub names: Vec<String>,
    /// With these labels.
    #[serde(deserialize_with = "nullable")]
    pub selector: String,
}

/// A service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceMatch {
    /// Its name.
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    /// Its namespace; none: the policy's.
    #[serde(deserialize_with = "nullable")]
    pub namespace: String,
}

/// A request of HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpMatch {
    /// One of these.
    #[serde(deserialize_with = "nullable")]
    pub methods: Vec<String>,
    /// For one of these.
    #[serde(deserialize_with = "nullable")]
    pub paths: Vec<HttpPath>,
}

/// A path of HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpPath {
    /// This one.
    pub exact: Option<String>,
    /// All that begin so.
    pub prefix: Option<String>,
}

/// `Tier`: policies are judged tier by tier.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tier {
    /// The lower comes first; none: last.
    pub order: Option<f64>,
    /// What becomes of what no policy of the tier decides, although one is about it.
    #[serde(deserialize_with = "nullable")]
    pub default_action: DefaultAction,
}

/// The end of a tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are Calico's")]
pub enum DefaultAction {
    #[default]
    Deny,
    Pass,
}
