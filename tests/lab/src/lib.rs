//! Nodes and pods made of namespaces: for tests, benchmarks, the demo, and people.
//!
//! A *node* is a set of namespaces (network, mount, pid, UTS, cgroup) held by an init process, with `/run`, `/etc`,
//! bpffs and cgroup2 subtree of its own. Nodes and *clients* are joined by a LAN, which is a bridge or a router in one
//! more set of namespaces. A *pod* is a network namespace on a node, attached by real CNI plugins ([`cni`]). Nothing is
//! ever made in the network namespace of the real machine, none of its files is written outside of `/run/caracal-lab`
//! (nodes have `/etc`, `/opt`, `/var`, `/run` and `/tmp` of their own), and nothing is left when the lab ends, however
//! it ends: a process of its own, the keeper, sees to that.
//!
//! ```no_run
//! use caracal_lab::{Lab, NodeSpec, Site as _};
//!
//! # fn main() -> anyhow::Result<()> {
//! let node = |name| NodeSpec::new(name).binaries(["/usr/lib/cni/ptp", "/usr/lib/cni/host-local"]);
//! let lab = Lab::builder("example").pod_routes().node(node("n1")).node(node("n2")).client("c1").start()?;
//! for node in lab.nodes() {
//!     node.set_conflist(&serde_json::json!({
//!         "cniVersion": "1.0.0", "name": "lab",
//!         "plugins": [{"type": "ptp", "ipam": {
//!             "type": "host-local", "ranges": [[{"subnet": "${podCIDR4}"}]], "routes": [{"dst": "0.0.0.0/0"}],
//!         }}],
//!     }))?;
//! }
//! let (a, b) = (lab.node("n1").pod("a")?, lab.node("n2").pod("b")?);
//! let _server = b.serve(&["tcp/8080"])?;
//! let reply = a.tcp_roundtrip((b.ip4(), 8080), b"hello")?;
//! assert_eq!(reply.peer.ip(), a.ip4());
//! # Ok(())
//! # }
//! ```

#![deny(unsafe_code)]

mod address;
mod capture;
mod cgroup;
#[doc(hidden)]
pub mod cli;
pub mod cni;
mod device;
mod find;
mod init;
mod keeper;
mod lab;
mod links;
mod machine;
mod mounts;
mod namespaces;
mod netns;
mod node;
mod pod;
mod process;
mod root;
mod site;
pub mod spec;
mod state;
#[expect(unsafe_code, reason = "the one place for what is not safe")]
mod sys;
pub mod traffic;
mod vars;
mod wait;

pub use self::{
    address::Kind,
    capture::{Capture, Packet},
    find::{bin, peer, target_dir},
    lab::{Builder, Lab},
    machine::Machine,
    namespaces::{NetNs, in_netns},
    node::Node,
    pod::{Pod, PodOptions},
    process::{Command, Process},
    root::{require_root, skip},
    site::Site,
    spec::{LanKind, NodeSpec},
    traffic::{Datagrams, Ping, PingError, Pong},
    wait::{wait_for, wait_until},
};
