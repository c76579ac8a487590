//! rtnetlink, synchronously: what the plugin, and whoever attaches programs, changes about links.
//!
//! A [`Socket`] belongs to the network namespace it was opened in, wherever its owner goes. Changes are sent as a
//! [`Batch`]: one system call there, one back, whatever their number. The kernel works on every message of a batch also
//! after one of them failed, so a batch that fails leaves something to undo.
//!
//! * [`netns`]: a container's network namespace, to open a socket in.
//! * [`vanish`]: links that go without anybody waiting.

#![deny(unsafe_code)]

pub mod netns;
pub mod vanish;

mod address;
mod batch;
mod filter;
mod link;
mod nsid;
mod qdisc;
mod reply;
mod route;
mod rule;
mod shaper;
mod socket;
mod sys;

use std::net::IpAddr;

pub use address::{address_add, addresses_of, global_addresses_of, neighbour_add};
pub use batch::{Batch, Request};
pub use filter::{Direction, Filter, has_foreign_ingress_filter, has_ingress_filter};
pub use link::{
    Link, LinkSettings, VETH, VethEnd, link_by_index, link_by_name, link_delete, link_settings, link_up, veth_add,
};
use netlink_packet_route::AddressFamily;
pub use nsid::nsid_of;
pub use qdisc::{Qdiscs, is_queued, qdiscs};
pub use route::{RouteSpec, device_towards, is_own, route_add, routes_of};
pub use rule::{rule_add, rule_delete};
pub use shaper::{Limit, limit_of, unlimit};
pub use socket::Socket;

/// A request that the kernel refused, or that never got there.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}{}", if hint.is_empty() { String::new() } else { format!(" ({hint})") })]
pub struct Error {
    /// What was asked for.
    pub what: String,
    /// The system's word.
    pub source: std::io::Error,
    /// What the kernel had to add.
    pub hint: String,
}

impl Error {
    fn new(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self { what, source, hint: String::new() }
    }

    fn malformed(what: impl Into<String>, reason: &impl ToString) -> Self {
        let source = std::io::Error::new(std::io::ErrorKind::InvalidData, reason.to_string());
        Self { what: what.into(), source, hint: String::new() }
    }

    /// Whether the kernel's answer was this error number.
    #[must_use]
    pub fn is(&self, errno: nix::errno::Errno) -> bool {
        self.source.raw_os_error() == Some(errno as i32)
    }
}

fn family(ip: IpAddr) -> AddressFamily {
    if ip.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

fn full_prefix(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}
