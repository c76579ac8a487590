//! A container: a network namespace, and how plugins are told of it.

use std::net::IpAddr;

use anyhow::Result;
use caracal_lab::{Machine, NetNs, Node, Site, cni::Attachment};
use serde_json::Value;

use crate::facts;

/// A container on a node. What it is attached to is the test's affair.
#[derive(Debug, Clone)]
pub struct Container {
    /// How the plugins know it.
    pub attachment: Attachment,
    machine: Machine,
    netns: NetNs,
    addresses: Vec<IpAddr>,
}

impl Container {
    /// A container with a namespace of its own, `/run/netns/<name>`.
    pub fn new(node: &Node, name: &str) -> Result<Self> {
        let netns = node.machine().add_netns(name)?;
        let attachment = Attachment::new(&format!("id-{name}"), format!("/run/netns/{name}"));
        Ok(Self { attachment, machine: node.machine().clone(), netns, addresses: Vec::new() })
    }

    /// The same container's attachment by another interface.
    #[must_use]
    pub fn by(&self, ifname: &str) -> Self {
        let mut other = self.clone();
        ifname.clone_into(&mut other.attachment.ifname);
        other
    }

    /// The same, but the runtime knows no namespace any more.
    #[must_use]
    pub fn without_netns(&self) -> Self {
        let mut other = self.clone();
        other.attachment.netns = None;
        other
    }

    /// The same, with more `CNI_ARGS`.
    #[must_use]
    pub fn arg(&self, key: &str, value: &str) -> Self {
        let mut other = self.clone();
        other.attachment.args.push((key.to_owned(), value.to_owned()));
        other
    }

    /// The same, with something for plugins that declare the capability.
    #[must_use]
    pub fn capability(&self, name: &str, value: Value) -> Self {
        let mut other = self.clone();
        other.attachment.capabilities.insert(name.to_owned(), value);
        other
    }

    /// The same, with the addresses that a result tells of, for traffic.
    #[must_use]
    pub fn with(&self, result: &Value) -> Self {
        let mut addresses = facts::addresses(result);
        addresses.sort_by_key(IpAddr::is_ipv6);
        Self { addresses, ..self.clone() }
    }

    /// `CNI_NETNS`; empty if there is none.
    #[must_use]
    pub fn netns_path(&self) -> String {
        self.attachment.netns.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
    }

    /// Takes its namespace away, as the end of the container does.
    pub fn end(&self) -> Result<()> {
        let path = self.attachment.netns.as_deref().and_then(|path| path.file_name());
        self.machine.remove_netns(&path.unwrap_or_default().to_string_lossy())
    }
}

impl Site for Container {
    fn machine(&self) -> &Machine {
        &self.machine
    }

    fn netns(&self) -> &NetNs {
        &self.netns
    }

    fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }
}
