//! What several tests need.

use std::{collections::BTreeSet, fs, path::Path, process::Stdio};

use caracal_lab::{Builder, Lab, NodeSpec, spec::Conflist};
use serde_json::{Value, json};

/// Where Debian's containernetworking-plugins are.
const DEBIAN_PLUGINS: &str = "/usr/lib/cni";

/// A lab with two nodes and a client, without network configuration.
pub(crate) fn two_nodes(name: &str) -> Builder {
    Lab::builder(name).node(NodeSpec::new("n1")).node(NodeSpec::new("n2")).client("c1")
}

/// The same, with plugins of Debian and this conflist.
pub(crate) fn two_nodes_with(name: &str, plugins: &[&str], conflist: Value) -> Builder {
    two_nodes(name).pod_routes().with(|spec| {
        spec.binaries = plugins.iter().map(|plugin| debian_plugin(plugin)).collect();
        spec.conflist = Some(Conflist::Inline(conflist));
    })
}

/// Path of a plugin of Debian.
pub(crate) fn debian_plugin(name: &str) -> String {
    let path = format!("{DEBIAN_PLUGINS}/{name}");
    assert!(Path::new(&path).is_file(), "no {path}: run `apt-get install containernetworking-plugins`");
    path
}

/// A conflist of ptp alone, for IPv4: it would wait for IPv6 duplicate address detection.
pub(crate) fn ptp() -> Value {
    json!({"cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "ptp", "ipam": {
        "type": "host-local", "ranges": [[{"subnet": "${podCIDR4}"}]], "routes": [{"dst": "0.0.0.0/0"}],
    }}]})
}

/// A conflist of bridge alone, for both families.
pub(crate) fn bridge() -> Value {
    json!({"cniVersion": "0.4.0", "name": "net", "plugins": [
        {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": "${podCIDR4}"}], [{"subnet": "${podCIDR6}"}]],
            "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}],
        }},
    ]})
}

/// Names of the links in the real machine's network namespace.
pub(crate) fn links_of_the_machine() -> BTreeSet<String> {
    let links = fs::read_dir("/sys/class/net").unwrap();
    links.map(|link| link.unwrap().file_name().into_string().unwrap()).collect()
}

/// The lab's own binary, as a command.
pub(crate) fn caracal_lab() -> std::process::Command {
    #[expect(clippy::disallowed_methods, reason = "the test is about this program")]
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_caracal-lab"));
    command.stdin(Stdio::null());
    command
}
