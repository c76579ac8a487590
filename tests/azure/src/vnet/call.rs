//! What the plugin is called with.

use std::{env, io, net::IpAddr};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

/// As many letters of a container's id tell it from others; runtimes' ids are 64 random digits.
const ID_PREFIX: usize = 8;

/// How addresses and routes come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Pods' addresses are Azure's only inside of the cluster.
    Overlay,
    /// Pods' addresses are Azure's own.
    Swift,
}

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) verb: String,
    pub(super) container_id: String,
    pub(super) netns: String,
    pub(super) ifname: String,
    pub(super) namespace: String,
    pub(super) pod: String,
    pub(super) mode: Mode,
}

impl Call {
    /// From environment and standard input.
    pub(super) fn read() -> Result<Self> {
        let var = |name: &str| env::var(name).unwrap_or_default();
        let conf: Value = serde_json::from_reader(io::stdin()).context("Failed to parse network configuration")?;
        let args = var("CNI_ARGS");
        let arg = |name: &str| {
            let found = args.split(';').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
            found.map(|(_, value)| value.to_owned()).unwrap_or_default()
        };
        let call = Self {
            verb: var("CNI_COMMAND"),
            container_id: var("CNI_CONTAINERID"),
            netns: var("CNI_NETNS"),
            ifname: var("CNI_IFNAME"),
            namespace: arg("K8S_POD_NAMESPACE"),
            pod: arg("K8S_POD_NAME"),
            mode: if call_is_overlay(&conf) { Mode::Overlay } else { Mode::Swift },
        };
        if call.verb != "VERSION" {
            ensure!(conf["mode"] == "transparent", "mode: {} is not what the stand-in knows", conf["mode"]);
            if conf["ipam"]["type"] != "azure-cns" {
                bail!("ipam.type: {} is not what the stand-in knows", conf["ipam"]["type"]);
            }
        }
        Ok(call)
    }

    /// The plugin's name for the attachment; none if the container's id is too short, as with the real one.
    pub(super) fn endpoint_id(&self) -> String {
        match self.container_id.get(..ID_PREFIX) {
            Some(prefix) if self.container_id.len() > ID_PREFIX => format!("{prefix}-{}", self.ifname),
            _ => String::new(),
        }
    }

    /// What it says to the address service about it.
    pub(super) fn ip_configs(&self, address: Option<IpAddr>) -> Value {
        json!({
            "desiredIPAddresses": address.map(|address| [address]),
            "podInterfaceID": self.endpoint_id(),
            "infraContainerID": self.container_id,
            "orchestratorContext": {"podName": self.pod, "podNamespace": self.namespace},
            "ifname": "",
        })
    }
}

fn call_is_overlay(conf: &Value) -> bool {
    ["overlay", "v4overlay", "dualStackOverlay"].iter().any(|mode| conf["ipam"]["mode"] == *mode)
}
