//! `v1 Pod`.

use std::{net::IpAddr, sync::Arc};

use caracal_cni_plugin::bandwidth::{Bandwidth, Rate};
use serde::Deserialize;

use super::{Metadata, Read, Unknown, bandwidth::BitsPerSecond, prefixes::Prefixes};
use crate::model::{self, Body, Kind, NamedPort, Names, Protocol, Wishes, nullable::nullable};

#[derive(Debug, Deserialize)]
pub struct Pod {
    metadata: Metadata<Annotations>,
    #[serde(default, deserialize_with = "nullable")]
    spec: PodSpec,
    #[serde(default, deserialize_with = "nullable")]
    status: PodStatus,
}

/// What Kubernetes reads, and what Calico's users know.
#[derive(Debug, Default, Deserialize)]
pub struct Annotations {
    #[serde(rename = "kubernetes.io/ingress-bandwidth")]
    ingress: Option<BitsPerSecond>,
    #[serde(rename = "kubernetes.io/egress-bandwidth")]
    egress: Option<BitsPerSecond>,
    #[serde(rename = "cni.projectcalico.org/allowedSourcePrefixes")]
    sources: Option<Prefixes>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodSpec {
    node_name: Option<String>,
    service_account_name: Option<String>,
    #[serde(deserialize_with = "nullable")]
    host_network: bool,
    #[serde(deserialize_with = "nullable")]
    containers: Vec<Container>,
    #[serde(deserialize_with = "nullable")]
    init_containers: Vec<Container>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    #[serde(default, deserialize_with = "nullable")]
    ports: Vec<ContainerPort>,
    restart_policy: Option<String>,
}

impl Container {
    /// Whether it runs as long as the pod does, although it comes before the others.
    fn is_sidecar(&self) -> bool {
        self.restart_policy.as_deref() == Some("Always")
    }
}

#[derive(Debug, Deserialize)]
struct ContainerPort {
    name: Option<String>,
    #[serde(rename = "containerPort")]
    number: u16,
    #[serde(default)]
    protocol: Protocol,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PodStatus {
    phase: Option<String>,
    #[serde(rename = "podIP", deserialize_with = "address")]
    pod_ip: Option<IpAddr>,
    #[serde(rename = "podIPs", deserialize_with = "nullable")]
    pod_ips: Vec<PodIp>,
    conditions: Option<Vec<Condition>>,
}

#[derive(Debug, Deserialize)]
struct PodIp {
    ip: IpAddr,
}

#[derive(Debug, Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

/// An address that is empty before there is one.
fn address<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<IpAddr>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    let is_none = || serde::de::Error::custom(format!("{text:?} is not an IP address"));
    if text.is_empty() { Ok(None) } else { text.parse().ok().ok_or_else(is_none).map(Some) }
}

impl Read<'_> for Pod {
    type Annotations = Annotations;

    fn metadata(&self) -> &Metadata<Annotations> {
        &self.metadata
    }

    fn body(self, _: Kind, names: &mut Names, _: Unknown) -> Body {
        let Self { metadata, spec, status } = self;
        let addresses = if status.pod_ips.is_empty() {
            status.pod_ip.into_iter().collect()
        } else {
            status.pod_ips.iter().map(|pod_ip| pod_ip.ip).collect()
        };
        let ready = |conditions: Vec<Condition>| {
            conditions.iter().any(|condition| condition.kind == "Ready" && condition.status == "True")
        };
        let pod = model::Pod {
            addresses,
            labels: names.labels(&metadata.labels),
            ports: spec.ports(names),
            node: spec.node_name.filter(|node| !node.is_empty()).map(|node| names.text(&node)),
            service_account: spec.service_account_name.map(|account| names.text(&account)),
            host_network: spec.host_network,
            has_ended: matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")),
            is_terminating: metadata.deletion_timestamp.is_some(),
            is_ready: status.conditions.map(ready),
            wishes: metadata.annotations.wishes(),
        };
        Body::Pod(pod.into())
    }
}

impl PodSpec {
    fn ports(&self, names: &mut Names) -> Arc<[NamedPort]> {
        let sidecars = self.init_containers.iter().filter(|container| container.is_sidecar());
        let ports = self.containers.iter().chain(sidecars).flat_map(|container| &container.ports);
        let mut read = Vec::new();
        for port in ports {
            if let Some(name) = &port.name {
                read.push(NamedPort { name: names.text(name), protocol: port.protocol, port: port.number });
            }
        }
        names.ports(read)
    }
}

impl Annotations {
    fn wishes(self) -> Option<Box<Wishes>> {
        let Self { ingress, egress, sources } = self;
        let bandwidth = Bandwidth { ingress: ingress.map(Rate::from), egress: egress.map(Rate::from) };
        let wishes = Wishes { bandwidth, sources: sources.unwrap_or_default().0 };
        (wishes != Wishes::default()).then(|| Box::new(wishes))
    }
}
