//! A pod: a network namespace on a node, attached by the node's real CNI plugins.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result};
use ipnetwork::IpNetwork;
use serde_json::{Map, Value};

use crate::{
    cni::{Attachment, Network, Run},
    machine::Machine,
    namespaces::NetNs,
    netns,
    node::Node,
    site::Site,
    state::PodRecord,
};

/// In what a pod differs from the ordinary.
#[derive(Debug, Clone)]
pub struct PodOptions {
    /// Its Kubernetes namespace.
    pub namespace: String,
    /// The container's id, instead of one that begins with the pod's name.
    pub container_id: Option<String>,
    /// The interface that plugins shall make.
    pub ifname: String,
    /// More `CNI_ARGS`.
    pub args: Vec<(String, String)>,
    /// What a runtime passes to plugins that declare the capability.
    pub capabilities: Map<String, Value>,
    /// The network, instead of the node's.
    pub network: Option<Network>,
}

impl Default for PodOptions {
    fn default() -> Self {
        Self {
            namespace: "default".to_owned(),
            container_id: None,
            ifname: "eth0".to_owned(),
            args: Vec::new(),
            capabilities: Map::new(),
            network: None,
        }
    }
}

/// A pod. Dropping it leaves it on its node, which is what a node that loses power does; [`Self::delete`] takes it
/// away.
#[derive(Debug)]
pub struct Pod {
    node: Node,
    name: String,
    netns: NetNs,
    network: Network,
    attachment: Attachment,
    addresses: Vec<IpAddr>,
    result: Value,
    runs: Vec<Run>,
}

impl Pod {
    pub(crate) fn create(node: &Node, name: &str, options: &PodOptions) -> Result<Self> {
        let making = || format!("making pod {}/{name}", node.label());
        let driver = node.cni();
        let network = options.network.clone().map_or_else(|| driver.network(), Ok).with_context(making)?;
        let attachment = attachment(name, options);
        let netns = node.machine().add_netns(name)?;
        let added = match driver.add(&network, &attachment) {
            Ok(added) => added,
            Err(error) => {
                // As a runtime does: DEL after a failed ADD, then the namespace goes. The first error is the one to
                // tell.
                let _ = driver.del(&network, &attachment);
                node.machine().remove_netns(name)?;
                return Err(error).with_context(making);
            }
        };
        let addresses = addresses(&added.result).with_context(making)?;
        let record = PodRecord { name: name.to_owned(), node: node.label().to_owned(), addresses: addresses.clone() };
        node.machine().shared().update_record(|lab| lab.pods.push(record))?;
        let (node, name) = (node.clone(), name.to_owned());
        Ok(Self { node, name, netns, network, attachment, addresses, result: added.result, runs: added.runs })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The node it is on.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// How the plugins know it.
    #[must_use]
    pub fn attachment(&self) -> &Attachment {
        &self.attachment
    }

    /// The network it is attached to.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The CNI result of its ADD.
    #[must_use]
    pub fn result(&self) -> &Value {
        &self.result
    }

    /// The calls of plugins that made it.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// CNI CHECK.
    pub fn check(&self) -> Result<()> {
        let checked = self.node.cni().check(&self.network, &self.attachment);
        checked.map(drop).with_context(|| format!("checking pod {}", self.label()))
    }

    /// CNI DEL, then the network namespace goes. After an error it is still there, and [`Node::cni`] can try again.
    pub fn delete(self) -> Result<()> {
        let deleted = self.node.cni().del(&self.network, &self.attachment);
        deleted.with_context(|| format!("deleting pod {}", self.label()))?;
        let node = self.node.machine();
        node.remove_netns(&self.name)?;
        let gone = |pod: &PodRecord| pod.node == node.name() && pod.name == self.name;
        node.shared().update_record(|lab| lab.pods.retain(|pod| !gone(pod)))
    }
}

impl Site for Pod {
    fn machine(&self) -> &Machine {
        self.node.machine()
    }

    fn netns(&self) -> &NetNs {
        &self.netns
    }

    fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }
}

/// Names the container anew each time, as runtimes do: a pod that is made again is another sandbox.
fn attachment(name: &str, options: &PodOptions) -> Attachment {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let new = || format!("{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let container_id = options.container_id.clone().unwrap_or_else(new);
    let mut args: Vec<(String, String)> = [
        ("IgnoreUnknown", "1"),
        ("K8S_POD_NAMESPACE", &options.namespace),
        ("K8S_POD_NAME", name),
        ("K8S_POD_INFRA_CONTAINER_ID", &container_id),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    args.extend(options.args.iter().cloned());
    Attachment {
        container_id,
        netns: Some(netns::path(name)),
        ifname: options.ifname.clone(),
        args,
        capabilities: options.capabilities.clone(),
    }
}

/// The addresses of a result, IPv4 first.
fn addresses(result: &Value) -> Result<Vec<IpAddr>> {
    let ips = result.get("ips").and_then(Value::as_array).into_iter().flatten();
    let texts = ips.filter_map(|ip| ip.get("address").and_then(Value::as_str));
    let parsed: Result<Vec<IpAddr>, _> = texts.map(|text| text.parse().map(|net: IpNetwork| net.ip())).collect();
    let mut addresses = parsed.context("ips of the result")?;
    addresses.sort_by_key(IpAddr::is_ipv6);
    Ok(addresses)
}
