//! What the directory does not say and the node knows: addresses of its pods, and who answers for services.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::PathBuf,
    sync::Arc,
};

use caracal_cni_plugin::record;

use crate::model::{Body, Kind, Name, Object, Pod, endpoints::Selectable};

/// Addresses of this node's pods by `namespace/name`.
pub type Wired = BTreeMap<String, Vec<IpAddr>>;

/// The plugin's records.
#[derive(Debug)]
pub struct Local {
    run_dir: PathBuf,
    wired: Wired,
}

impl Local {
    /// What is below the directory that the plugin keeps its state in.
    pub fn new(run_dir: PathBuf) -> Self {
        Self { run_dir, wired: Wired::new() }
    }

    /// Looks at the records again. True if they say something else.
    pub fn look(&mut self) -> bool {
        let known = match record::survey(&self.run_dir) {
            Ok(known) => known,
            Err(error) => {
                log::warn!("addresses of pods: {error}; tried again later");
                return false;
            }
        };
        let mut wired = Wired::new();
        for known in known.into_iter().filter(|known| known.record.complete && !known.record.pod.is_empty()) {
            wired.entry(known.record.pod).or_default().extend(known.record.addresses);
        }
        std::mem::replace(&mut self.wired, wired) != self.wired
    }

    /// Where they say so.
    pub fn wired(&self) -> &Wired {
        &self.wired
    }
}

/// The objects that hold, by kind and name.
pub type Holding = BTreeMap<(Kind, Name), Object>;

/// Gives pods the addresses that they have on this node, if they do not say which.
pub fn address(holding: &mut Holding, wired: &Wired) {
    for object in holding.values_mut() {
        let Body::Pod(pod) = &mut object.body else { continue };
        if let Some(addresses) = wired.get(&object.name.to_string()).filter(|_| pod.addresses.is_empty()) {
            *pod = Arc::new(Pod { addresses: addresses.clone().into(), ..Pod::clone(pod) });
        }
    }
}

/// The slices of services that select pods and have no slices yet.
pub fn slices(holding: &Holding) -> Vec<Object> {
    let (mut pods, mut zones, mut services, mut written) = (Vec::new(), Vec::new(), Vec::new(), BTreeSet::new());
    for object in holding.values() {
        let name = &object.name;
        match &object.body {
            Body::Pod(pod) => pods.push((name, pod)),
            Body::Node(node) => zones.extend(node.zone.as_ref().map(|zone| (&name.name, zone))),
            Body::Service(service) => services.push((name, service)),
            Body::EndpointSlice(slice) => {
                written.extend(slice.service.clone().map(|service| Name::new(name.namespace.clone(), service)));
            }
            _ => {}
        }
    }
    let selectable = Selectable::new(pods, zones);
    let services = services.into_iter().filter(|(name, _)| !written.contains(name));
    let slices = services.flat_map(|(name, service)| selectable.slices(name, service));
    slices.map(|(name, slice)| Object { name, body: Body::EndpointSlice(slice.into()) }).collect()
}
