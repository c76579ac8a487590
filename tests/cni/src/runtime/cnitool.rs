//! cnitool: Go's libcni, with its cache in the node's own `/var/lib/cni`.

use anyhow::Context as _;
use caracal_lab::{Node, Site as _};
use serde_json::Value;

use super::{Failure, Runtime, broken};
use crate::{Container, peers};

/// `cnitool`.
#[derive(Debug)]
pub struct Cnitool;

/// It wants a namespace for every verb; those that are not about one get this.
const NO_NETNS: &str = "/run/netns/none";

/// Where libcni finds the list.
const CONFLIST: &str = "/etc/cni/net.d/10-suite.conflist";

impl Runtime for Cnitool {
    fn add(&self, node: &Node, list: &Value, container: &Container) -> Result<Value, Failure> {
        let output = run(node, "add", list, Some(container))?;
        serde_json::from_str(&output).context(output).map_err(|error| broken(&error))
    }

    fn del(&self, node: &Node, list: &Value, container: &Container) -> Result<(), Failure> {
        run(node, "del", list, Some(container)).map(drop)
    }

    fn check(&self, node: &Node, list: &Value, container: &Container) -> Result<(), Failure> {
        run(node, "check", list, Some(container)).map(drop)
    }

    fn status(&self, node: &Node, list: &Value) -> Result<(), Failure> {
        run(node, "status", list, None).map(drop)
    }

    /// It knows no valid attachments, and says so by leaving their list out.
    fn gc(&self, node: &Node, list: &Value, valid: &[&Container]) -> Result<(), Failure> {
        assert!(valid.is_empty(), "cnitool cannot name attachments to spare");
        run(node, "gc", list, None).map(drop)
    }
}

/// Writes the list to where it is looked for, unless it is there: another call may be reading it.
fn show(node: &Node, list: &Value) -> anyhow::Result<()> {
    let content = serde_json::to_vec_pretty(list)?;
    let is_there = node.machine().read_file(CONFLIST).is_ok_and(|written| written == content);
    if is_there { Ok(()) } else { node.machine().write_file(CONFLIST, content) }
}

fn run(node: &Node, verb: &str, list: &Value, container: Option<&Container>) -> Result<String, Failure> {
    let name = list["name"].as_str().unwrap_or_default();
    let netns = container.map_or_else(|| NO_NETNS.to_owned(), Container::netns_path);
    assert!(!netns.is_empty(), "cnitool makes a path of the empty namespace");
    let call = || {
        show(node, list)?;
        let mut command =
            node.command(peers::cnitool()?).args([verb, name, netns.as_str()]).env("CNI_PATH", "/opt/cni/bin");
        if let Some(container) = container {
            let attachment = &container.attachment;
            let args: Vec<String> = attachment.args.iter().map(|(key, value)| format!("{key}={value}")).collect();
            command = command.env("CNI_IFNAME", &attachment.ifname).env("CNI_ARGS", args.join(";"));
            if !attachment.capabilities.is_empty() {
                command = command.env("CAP_ARGS", serde_json::to_string(&attachment.capabilities)?);
            }
        }
        command.output()
    };
    let output = call().map_err(|error| broken(&error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = [output.stdout, output.stderr].concat();
    Err(Failure { code: None, text: format!("cnitool {verb}: {}", String::from_utf8_lossy(&text).trim()) })
}
