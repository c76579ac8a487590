//! What the agent does about pods that it is told of.

use std::{path::PathBuf, sync::Arc};

use caracal_datapath::Pinned;
use caracal_endpoints::{Registration, Removal};
use caracal_ipam::{Attachment, attachment::is_identifier};
use tokio::sync::Notify;

use crate::Options;

/// More addresses than any pod has.
const MAX_ADDRESSES: usize = 64;

/// Whether what is said of a pod is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It is.
    InForce,
    /// It will be; what is missing yet.
    Pending(String),
    /// It will not be without the runtime's trying again; why.
    Never(String),
}

/// Those who hear of pods. The sessions ask nothing else of the rest of the agent.
pub trait Pods: Send + Sync + 'static {
    /// A pod is wired. The error says what is wrong with what was said of it.
    fn register(&self, pod: &Registration) -> Result<(), String>;
    /// Whether the data plane holds what the cluster says of this pod. Asked again until it does or the time is up.
    fn readiness(&self, pod: &Registration) -> Readiness;
    /// A pod is taken apart.
    fn remove(&self, pod: &Removal) -> Result<(), String>;
}

/// The pods of the data plane.
#[derive(Debug)]
pub(super) struct Known {
    bpffs: PathBuf,
    pinned: Pinned,
    told: Arc<Notify>,
}

impl Known {
    pub(super) fn new(options: &Options, pinned: Pinned, told: Arc<Notify>) -> Self {
        Self { bpffs: options.bpffs.clone(), pinned, told }
    }
}

impl Pods for Known {
    fn register(&self, pod: &Registration) -> Result<(), String> {
        check(pod)?;
        if pod.bpffs != self.bpffs {
            let (theirs, ours) = (pod.bpffs.display(), self.bpffs.display());
            log::warn!("{pod}: its data plane is below {theirs}, not {ours}; this agent does nothing for it");
        }
        log::debug!("{pod} is pod {}/{} with {:?}", pod.pod_namespace, pod.pod_name, pod.addresses);
        self.told.notify_one();
        Ok(())
    }

    /// As long as nothing more is said of a pod than who it is: whether the maps know it so.
    fn readiness(&self, pod: &Registration) -> Readiness {
        if pod.bpffs != self.bpffs {
            return Readiness::InForce;
        }
        for ip in &pod.addresses {
            match self.pinned.endpoint(*ip) {
                Ok(Some(known)) if known.ifindex == pod.host_ifindex => {}
                Ok(Some(known)) => {
                    let (other, own) = (known.ifindex, pod.host_ifindex);
                    return Readiness::Never(format!("{ip} is known behind interface {other}, not {own}"));
                }
                Ok(None) => return Readiness::Never(format!("the data plane that is in force now does not know {ip}")),
                Err(error) => return Readiness::Pending(error.to_string()),
            }
        }
        Readiness::InForce
    }

    fn remove(&self, pod: &Removal) -> Result<(), String> {
        let removed = forget(&self.pinned, pod).map_err(|e| e.to_string());
        self.told.notify_one();
        removed.map(drop)
    }
}

/// Takes a pod out of the maps, as far as it is still there: that is the plugin's work, but it may have been killed over
/// it. Tells whether there was anything.
pub(super) fn forget(pinned: &Pinned, pod: &Removal) -> Result<bool, caracal_datapath::Error> {
    let Some(ifindex) = pod.host_ifindex else { return Ok(false) };
    let has_ports = pinned.mappings()?.iter().any(|(_, owner)| *owner == ifindex);
    if has_ports {
        // No new flow to the pod by its port, then none at all.
        pinned.unmap_ports(ifindex)?;
    }
    let mut was_there = has_ports;
    for ip in &pod.addresses {
        // Only then: to look for the flows of an address is to read all of them.
        if pinned.endpoint(*ip)?.is_some_and(|known| known.ifindex == ifindex) {
            pinned.remove_endpoint(*ip, ifindex)?;
            was_there = true;
        }
    }
    Ok(was_there)
}

fn check(pod: &Registration) -> Result<(), String> {
    if !is_identifier(&pod.network) {
        return Err(format!("network: {:?} is not a name", pod.network));
    }
    Attachment::new(&pod.container_id, &pod.ifname).map_err(|e| e.to_string())?;
    if pod.host_ifindex == 0 {
        return Err("hostIfindex: is missing".to_owned());
    }
    if pod.addresses.is_empty() || pod.addresses.len() > MAX_ADDRESSES {
        return Err(format!("addresses: {} of them; a pod has 1 to {MAX_ADDRESSES}", pod.addresses.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_registration_is_said_by_field() {
        let pod = Registration {
            network: "net".to_owned(),
            container_id: "c1".to_owned(),
            ifname: "eth0".to_owned(),
            host_ifindex: 7,
            addresses: vec!["10.1.0.2".parse().unwrap()],
            ..Registration::default()
        };
        assert_eq!(check(&pod), Ok(()));
        let bad = |change: fn(&mut Registration)| {
            let mut pod = pod.clone();
            change(&mut pod);
            check(&pod).unwrap_err()
        };
        assert_eq!(bad(|pod| pod.network = "../up".to_owned()), "network: \"../up\" is not a name");
        assert!(bad(|pod| pod.container_id = "/".to_owned()).contains("container ID \"/\""));
        assert!(bad(|pod| pod.ifname = "a/b".to_owned()).contains("interface name \"a/b\""));
        assert_eq!(bad(|pod| pod.host_ifindex = 0), "hostIfindex: is missing");
        assert_eq!(bad(|pod| pod.addresses.clear()), "addresses: 0 of them; a pod has 1 to 64");
        assert!(bad(|pod| pod.addresses = vec!["::1".parse().unwrap(); 65]).starts_with("addresses: 65 of them"));
    }
}
