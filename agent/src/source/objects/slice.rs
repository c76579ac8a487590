//! `discovery.k8s.io/v1 EndpointSlice`.

use std::net::IpAddr;

use serde::Deserialize;

use super::{Metadata, Read, Unknown};
use crate::model::{self, Body, Hints, Kind, Names, Protocol, SlicePort, nullable::nullable};

/// The service in the same namespace whose endpoints these are.
const SERVICE: &str = "kubernetes.io/service-name";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointSlice {
    metadata: Metadata<Annotations>,
    address_type: AddressType,
    #[serde(default, deserialize_with = "nullable")]
    ports: Vec<Port>,
    #[serde(default, deserialize_with = "nullable")]
    endpoints: Vec<Endpoint>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Annotations {
    #[serde(rename = "endpoints.kubernetes.io/last-change-trigger-time")]
    trigger_time: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum AddressType {
    #[serde(rename = "IPv4")]
    V4,
    #[serde(rename = "IPv6")]
    V6,
    #[serde(rename = "FQDN")]
    Name,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Port {
    #[serde(deserialize_with = "nullable")]
    name: String,
    #[serde(deserialize_with = "nullable")]
    protocol: Protocol,
    #[serde(rename = "port")]
    number: Option<u16>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Endpoint {
    #[serde(deserialize_with = "nullable")]
    addresses: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    conditions: Conditions,
    node_name: Option<String>,
    zone: Option<String>,
    #[serde(deserialize_with = "nullable")]
    hints: EndpointHints,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Conditions {
    ready: Option<bool>,
    serving: Option<bool>,
    terminating: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct EndpointHints {
    #[serde(deserialize_with = "nullable")]
    for_zones: Vec<Hint>,
    #[serde(deserialize_with = "nullable")]
    for_nodes: Vec<Hint>,
}

#[derive(Debug, Deserialize)]
struct Hint {
    name: String,
}

impl Read<'_> for EndpointSlice {
    type Annotations = Annotations;

    fn metadata(&self) -> &Metadata<Annotations> {
        &self.metadata
    }

    fn body(self, _: Kind, names: &mut Names, _: Unknown) -> Body {
        let Self { metadata, address_type, ports, endpoints } = self;
        let ports = ports.into_iter().filter_map(|Port { name, protocol, number }| {
            let port = number.filter(|port| *port > 0)?;
            Some(SlicePort { name: names.text(&name), protocol, port })
        });
        let ports = ports.collect();
        let slice = model::EndpointSlice {
            service: metadata.labels.get(SERVICE).filter(|name| !name.is_empty()).map(|name| names.text(name)),
            ports,
            endpoints: endpoints.into_iter().filter_map(|endpoint| endpoint.read(address_type, names)).collect(),
            trigger_time: metadata.annotations.trigger_time.map(Into::into),
        };
        Body::EndpointSlice(slice.into())
    }
}

impl Endpoint {
    /// The first address stands for all; none where it is of another type.
    fn read(self, address_type: AddressType, names: &mut Names) -> Option<model::Endpoint> {
        let Self { addresses, conditions, node_name, zone, hints } = self;
        let address: IpAddr = addresses.first()?.parse().ok()?;
        let is_of_type = match address_type {
            AddressType::V4 => address.is_ipv4(),
            AddressType::V6 => address.is_ipv6(),
            AddressType::Name => false,
        };
        is_of_type.then(|| model::Endpoint {
            address,
            ready: conditions.ready.unwrap_or(true),
            serving: conditions.serving.or(conditions.ready).unwrap_or(true),
            terminating: conditions.terminating.unwrap_or(false),
            node: node_name.map(|node| names.text(&node)),
            zone: zone.map(|zone| names.text(&zone)),
            hints: hints.read(names),
        })
    }
}

impl EndpointHints {
    fn read(self, names: &mut Names) -> Option<Box<Hints>> {
        let mut read = |hints: Vec<Hint>| hints.iter().map(|hint| names.text(&hint.name)).collect();
        let hints = Hints { nodes: read(self.for_nodes), zones: read(self.for_zones) };
        (hints != Hints::default()).then(|| Box::new(hints))
    }
}
