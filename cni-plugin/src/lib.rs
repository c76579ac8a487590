//! The CNI plugin that kubelet runs, as a library: `main.rs` only starts it.
//!
//! One call is one process: it starts, does one verb and ends, in a few milliseconds. So everything here is
//! synchronous, and no program is run but another IPAM plugin where the configuration names one.
//!
//! * [`agent`]: what the agent is told.
//! * [`config`]: what a network configuration asks for.
//! * [`bandwidth`]: how fast a pod may send and receive.
//! * [`ports`]: ports of the node that lead to a pod's.
//! * [`identity`]: how an attachment's link is called.
//! * [`record`]: what is kept about an attachment, so that it can be taken apart.
//! * [`source`]: where a pod's addresses come from.
//! * [`peer`]: the host's side of an interface that another plugin made.
//! * [`wiring`]: what a pod's link, addresses and routes are; pure.
//! * [`sysctl`], and from `caracal-netlink` [`netlink`], [`netns`], [`vanish`]: the kernel.
//! * [`dataplane`]: the eBPF programs.
//! * [`verbs`]: ADD, DEL, CHECK, GC and STATUS, made of these.

#![forbid(unsafe_code)]

pub mod agent;
pub mod bandwidth;
pub mod config;
pub mod dataplane;
pub mod identity;
pub mod peer;
pub mod ports;
pub mod record;
pub mod source;
pub mod sysctl;
pub mod verbs;
pub mod wiring;

mod error;

pub use caracal_netlink::{self as netlink, netns, vanish};
pub use error::Error;
