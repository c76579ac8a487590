//! The `rust-cni` crate, behind `src/bin/rust-cni-runtime.rs`: it sets its own environment to what a plugin shall see,
//! so each call is a process.

use caracal_lab::{Node, Site as _, bin, cni::PluginError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Failure, Runtime, broken};
use crate::Container;

/// `rust-cni`.
#[derive(Debug)]
pub struct RustCni;

/// What the program reads.
#[derive(Debug, Serialize, Deserialize)]
pub struct Order {
    /// `ADD`, `DEL` or `CHECK`.
    pub verb: String,
    /// `CNI_CONTAINERID`.
    pub container_id: String,
    /// `CNI_NETNS`.
    pub netns: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
    /// `CNI_ARGS`.
    pub args: Vec<[String; 2]>,
    /// The list.
    pub list: Value,
}

impl Runtime for RustCni {
    fn add(&self, node: &Node, list: &Value, container: &Container) -> Result<Value, Failure> {
        run(node, "ADD", list, container)
    }

    fn del(&self, node: &Node, list: &Value, container: &Container) -> Result<(), Failure> {
        run(node, "DEL", list, container).map(drop)
    }

    fn check(&self, node: &Node, list: &Value, container: &Container) -> Result<(), Failure> {
        run(node, "CHECK", list, container).map(drop)
    }

    fn status(&self, _: &Node, _: &Value) -> Result<(), Failure> {
        panic!("rust-cni knows no STATUS");
    }

    fn gc(&self, _: &Node, _: &Value, _: &[&Container]) -> Result<(), Failure> {
        panic!("rust-cni knows no GC");
    }
}

fn run(node: &Node, verb: &str, list: &Value, container: &Container) -> Result<Value, Failure> {
    let attachment = &container.attachment;
    let order = Order {
        verb: verb.to_owned(),
        container_id: attachment.container_id.clone(),
        netns: container.netns_path(),
        ifname: attachment.ifname.clone(),
        args: attachment.args.iter().map(|(key, value)| [key.clone(), value.clone()]).collect(),
        list: list.clone(),
    };
    let call = || node.command(bin("rust-cni-runtime")?).stdin(serde_json::to_vec(&order)?).output();
    let output = call().map_err(|error| broken(&error))?;
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        return serde_json::from_str(&stdout)
            .map_err(|error| broken(&anyhow::Error::new(error).context(stdout.into_owned())));
    }
    // It passes on what the plugin printed, with words of its own around it.
    let printed = stderr.find('{').and_then(|at| stderr.get(at..)).unwrap_or_default();
    match serde_json::Deserializer::from_str(printed).into_iter::<PluginError>().next() {
        Some(Ok(error)) => Err(Failure { code: Some(error.code), text: format!("rust-cni {verb}: {error}") }),
        _ => Err(Failure { code: None, text: format!("rust-cni {verb}: {}", stderr.trim()) }),
    }
}
