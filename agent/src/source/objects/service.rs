//! `v1 Service` and `networking.k8s.io/v1 ServiceCIDR`.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use ipnetwork::IpNetwork;
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, Visitor},
};

use super::{Metadata, Read, Unknown};
use crate::model::{self, Body, Kind, Names, Protocol, ServicePort, ServiceType, Target, nullable::nullable};

/// Whoever has this name sees to the service.
const PROXY_NAME: &str = "service.kubernetes.io/service-proxy-name";
/// How long a client stays with its endpoint if nobody says.
const AFFINITY_SECONDS: u32 = 10_800;

#[derive(Debug, Deserialize)]
pub struct Service {
    metadata: Metadata<Annotations>,
    #[serde(default, deserialize_with = "nullable")]
    spec: ServiceSpec,
    #[serde(default, deserialize_with = "nullable")]
    status: ServiceStatus,
}

/// Those that are about balancing.
#[derive(Debug, Default)]
pub struct Annotations(BTreeMap<String, String>);

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ServiceSpec {
    #[serde(rename = "type", deserialize_with = "nullable")]
    kind: ServiceType,
    #[serde(rename = "clusterIP")]
    cluster_ip: Option<String>,
    #[serde(rename = "clusterIPs", deserialize_with = "nullable")]
    cluster_ips: Vec<String>,
    #[serde(rename = "externalIPs", deserialize_with = "nullable")]
    external_ips: Box<[IpAddr]>,
    #[serde(deserialize_with = "nullable")]
    load_balancer_source_ranges: Vec<Range>,
    #[serde(deserialize_with = "nullable")]
    ports: Vec<Port>,
    selector: Option<BTreeMap<String, String>>,
    internal_traffic_policy: Option<TrafficPolicy>,
    external_traffic_policy: Option<TrafficPolicy>,
    session_affinity: Option<String>,
    session_affinity_config: Option<AffinityConfig>,
    health_check_node_port: Option<u16>,
    #[serde(deserialize_with = "nullable")]
    publish_not_ready_addresses: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum TrafficPolicy {
    Cluster,
    Local,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AffinityConfig {
    #[serde(rename = "clientIP")]
    client_ip: Option<ClientIp>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ClientIp {
    timeout_seconds: Option<u32>,
}

#[derive(Debug, Deserialize)]
struct Port {
    #[serde(default, deserialize_with = "nullable")]
    name: String,
    #[serde(default, deserialize_with = "nullable")]
    protocol: Protocol,
    #[serde(rename = "port")]
    number: u16,
    #[serde(rename = "nodePort")]
    of_nodes: Option<u16>,
    #[serde(rename = "targetPort")]
    target: Option<Target>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ServiceStatus {
    #[serde(deserialize_with = "nullable")]
    load_balancer: LoadBalancer,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LoadBalancer {
    #[serde(deserialize_with = "nullable")]
    ingress: Vec<Ingress>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Ingress {
    ip: Option<IpAddr>,
    ip_mode: Option<String>,
}

impl Ingress {
    /// The address, if packets to it come to the nodes as they are.
    fn captured(&self) -> Option<IpAddr> {
        self.ip.filter(|_| self.ip_mode.as_deref().is_none_or(|mode| mode == "VIP"))
    }
}

impl Read<'_> for Service {
    type Annotations = Annotations;

    fn metadata(&self) -> &Metadata<Annotations> {
        &self.metadata
    }

    fn body(self, _: Kind, names: &mut Names, _: Unknown) -> Body {
        let Self { metadata, spec, status } = self;
        let cluster_ips =
            if spec.cluster_ips.is_empty() { spec.cluster_ip.into_iter().collect() } else { spec.cluster_ips };
        let affinity_seconds = (spec.session_affinity.as_deref() == Some("ClientIP")).then(|| {
            let client_ip = spec.session_affinity_config.and_then(|config| config.client_ip);
            client_ip.and_then(|client_ip| client_ip.timeout_seconds).unwrap_or(AFFINITY_SECONDS)
        });
        let selector = spec.selector.filter(|selector| !selector.is_empty());
        let service = model::Service {
            kind: spec.kind,
            cluster_ips: cluster_ips.iter().filter_map(|ip| ip.parse().ok()).collect(),
            is_headless: cluster_ips.iter().any(|ip| ip == "None"),
            external_ips: spec.external_ips,
            balancer_ips: status.load_balancer.ingress.iter().filter_map(Ingress::captured).collect(),
            source_ranges: spec.load_balancer_source_ranges.iter().map(|range| range.0).collect(),
            ports: spec.ports.into_iter().map(|port| port.read(names)).collect(),
            selector: selector.map(|selector| names.labels(&selector)),
            internal_is_local: spec.internal_traffic_policy == Some(TrafficPolicy::Local),
            external_is_local: spec.external_traffic_policy == Some(TrafficPolicy::Local),
            affinity_seconds,
            health_port: spec.health_check_node_port.filter(|port| *port > 0),
            publishes_not_ready: spec.publish_not_ready_addresses,
            proxy_name: metadata.labels.get(PROXY_NAME).map(|name| names.text(name)),
            annotations: names.labels(&metadata.annotations.0),
        };
        Body::Service(service.into())
    }
}

impl Port {
    fn read(self, names: &mut Names) -> ServicePort {
        let Self { name, protocol, number, of_nodes, target } = self;
        let target = match target {
            // Who says 0 says nothing.
            None | Some(Target::Number(0)) => Target::Number(number),
            Some(Target::Name(name)) => Target::Name(names.text(&name)),
            Some(target) => target,
        };
        let node_port = of_nodes.filter(|port| *port > 0);
        ServicePort { name: names.text(&name), protocol, port: number, node_port, target }
    }
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AnnotationsVisitor)
    }
}

struct AnnotationsVisitor;

impl<'de> Visitor<'de> for AnnotationsVisitor {
    type Value = Annotations;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("annotations")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Annotations, A::Error> {
        let mut kept = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            let domain = key.split_once('/').map_or("", |(domain, _)| domain);
            if domain.ends_with("projectcalico.org") || domain.starts_with("caracal") {
                kept.insert(key, map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Annotations(kept))
    }
}

/// A network that people may have put blanks around.
#[derive(Debug)]
struct Range(IpNetwork);

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(RangeVisitor)
    }
}

/// Errors of a visitor know the field and the line, those of what is made of its result do not.
struct RangeVisitor;

impl Visitor<'_> for RangeVisitor {
    type Value = Range;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a network such as 192.0.2.0/24 or 2001:db8::/64")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Range, E> {
        let network = text.trim().parse().ok();
        network.map(Range).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

#[derive(Debug, Deserialize)]
pub struct ServiceCidr {
    metadata: Metadata<IgnoredAny>,
    #[serde(default, deserialize_with = "nullable")]
    spec: ServiceCidrSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ServiceCidrSpec {
    #[serde(deserialize_with = "nullable")]
    cidrs: Box<[IpNetwork]>,
}

impl Read<'_> for ServiceCidr {
    type Annotations = IgnoredAny;

    fn metadata(&self) -> &Metadata<IgnoredAny> {
        &self.metadata
    }

    fn body(self, _: Kind, _: &mut Names, _: Unknown) -> Body {
        Body::ServiceCidr(model::ServiceCidr { cidrs: self.spec.cidrs }.into())
    }
}
