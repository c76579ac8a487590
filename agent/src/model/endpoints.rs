//! Endpoints of services that select pods, where no control plane says which they are.
//!
//! The same as Kubernetes' controller would make, but for slices of a hundred: one slice for each family, and for each
//! set of port numbers, for pods may call ports the same that differ.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use super::{Endpoint, EndpointSlice, Labels, Name, Pod, Service, ServicePort, ServiceType, SlicePort, Target, Text};

/// Pods as services look for them.
#[derive(Debug, Default)]
pub struct Selectable<'a> {
    by_label: BTreeMap<(&'a Text, &'a Text, &'a Text), Vec<&'a Pod>>,
    zones: BTreeMap<&'a Text, &'a Text>,
}

impl<'a> Selectable<'a> {
    /// These pods, on nodes in these zones.
    pub fn new(
        pods: impl IntoIterator<Item = (&'a Name, &'a Arc<Pod>)>,
        zones: impl IntoIterator<Item = (&'a Text, &'a Text)>,
    ) -> Self {
        let mut by_label: BTreeMap<_, Vec<&Pod>> = BTreeMap::new();
        for (name, pod) in pods {
            if pod.has_ended || pod.addresses.is_empty() {
                continue;
            }
            for (key, value) in pod.labels.iter() {
                by_label.entry((&name.namespace, key, value)).or_default().push(pod);
            }
        }
        Self { by_label, zones: zones.into_iter().collect() }
    }

    /// The pods of a namespace that a selector means. One that says nothing means none.
    fn selected(&self, namespace: &Text, selector: &Labels) -> Vec<&'a Pod> {
        // The rarest label leaves the fewest pods to look at.
        let pods = selector
            .iter()
            .map(|(key, value)| self.by_label.get(&(namespace, key, value)).map_or(&[][..], Vec::as_slice));
        let fewest = pods.min_by_key(|pods| pods.len()).unwrap_or_default();
        fewest.iter().copied().filter(|pod| pod.labels.contain(selector)).collect()
    }

    /// The slices of a service; none if somebody else says what its endpoints are.
    #[must_use]
    pub fn slices(&self, name: &Name, service: &Service) -> Vec<(Name, EndpointSlice)> {
        let Some(selector) = service.selector.as_ref().filter(|_| service.kind != ServiceType::ExternalName) else {
            return Vec::new();
        };
        let mut groups: BTreeMap<(bool, Vec<u16>, Vec<usize>), Vec<Endpoint>> = BTreeMap::new();
        for pod in self.selected(&name.namespace, selector) {
            let found = service.ports.iter().enumerate().filter_map(|(at, port)| Some((at, number(pod, port)?)));
            let (which, numbers): (Vec<usize>, Vec<u16>) = found.unzip();
            for address in &pod.addresses {
                if has_family(service, *address) {
                    let group = groups.entry((address.is_ipv6(), numbers.clone(), which.clone())).or_default();
                    group.push(self.endpoint(pod, *address, service.publishes_not_ready));
                }
            }
        }
        let mut slices = Vec::new();
        for ((is_ipv6, numbers, which), endpoints) in groups {
            let ports = which.iter().zip(numbers).map(|(at, port)| SlicePort {
                name: service.ports[*at].name.clone(),
                protocol: service.ports[*at].protocol,
                port,
            });
            let slice = EndpointSlice {
                service: Some(name.name.clone()),
                ports: ports.collect(),
                endpoints: endpoints.into(),
                trigger_time: None,
            };
            let family = if is_ipv6 { "ipv6" } else { "ipv4" };
            let slice_name = format!("{}.{family}-{}", name.name, slices.len());
            slices.push((Name::new(name.namespace.clone(), slice_name), slice));
        }
        slices
    }

    fn endpoint(&self, pod: &Pod, address: IpAddr, publishes_not_ready: bool) -> Endpoint {
        // A pod that nobody asks whether it is ready is as ready as it will ever be.
        let serving = pod.is_ready.unwrap_or(true);
        Endpoint {
            address,
            ready: publishes_not_ready || (serving && !pod.is_terminating),
            serving,
            terminating: pod.is_terminating,
            node: pod.node.clone(),
            zone: pod.node.as_ref().and_then(|node| self.zones.get(node)).map(|zone| (*zone).clone()),
            hints: None,
        }
    }
}

/// The number that a pod has for a service's port; none if it has no port of that name.
fn number(pod: &Pod, port: &ServicePort) -> Option<u16> {
    match &port.target {
        Target::Number(number) => Some(*number),
        Target::Name(name) => {
            let named = pod.ports.iter().find(|named| named.name == *name && named.protocol == port.protocol)?;
            Some(named.port)
        }
    }
}

/// A service has the families of its addresses; one without any has those of its pods.
fn has_family(service: &Service, address: IpAddr) -> bool {
    service.cluster_ips.is_empty() || service.cluster_ips.iter().any(|ip| ip.is_ipv4() == address.is_ipv4())
}

#[cfg(test)]
mod tests;
