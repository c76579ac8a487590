//! Keys and values of the eBPF maps, shared by the programs in the kernel and everything in user space.
//!
//! Rules for every type here: `#[repr(C)]`, integers and byte arrays only, padding written out as fields, size and
//! alignment asserted. A map outlives the binaries that made it, so a change of any of these is a change of
//! [`LAYOUT_VERSION`], and with it of the directory the maps are pinned under.

#![cfg_attr(not(any(test, feature = "user")), no_std)]
#![expect(
    clippy::inline_always,
    reason = "a call costs as much as what these do, and BPF functions return scalars only"
)]

mod addr;
mod counter;
mod endpoint;
mod flow;
#[cfg(feature = "user")]
mod user;

pub use addr::{Address, Be16, Be32, Be64, Ip4, Ip6, Mac};
pub use counter::{COUNTER_SLOTS, Counter, Disposition, Hook, Reason, counter_slot};
pub use endpoint::Endpoint;
pub use flow::{Flow, FlowKey, Via};

/// Version of the whole set of map layouts; part of the pin path, so two versions never meet in one map.
pub const LAYOUT_VERSION: u32 = 1;

/// Symbol names of the maps, as the object file, the pin directory and the typed handles all use them.
///
/// At most 15 bytes: the kernel cuts longer names, and two that share the first 15 bytes look alike in `bpftool`.
pub mod map {
    /// Per-CPU packet counters, indexed by [`crate::counter_slot`].
    pub const COUNTERS: &str = "COUNTERS";
    /// Local pods by IPv4 address.
    pub const ENDPOINTS4: &str = "ENDPOINTS4";
    /// Local pods by IPv6 address.
    pub const ENDPOINTS6: &str = "ENDPOINTS6";
    /// Decided IPv4 flows by exact 5-tuple.
    pub const FLOWS4: &str = "FLOWS4";
    /// Decided IPv6 flows by exact 5-tuple.
    pub const FLOWS6: &str = "FLOWS6";
    /// Every map of this layout.
    pub const ALL: [&str; 5] = [COUNTERS, ENDPOINTS4, ENDPOINTS6, FLOWS4, FLOWS6];
}

/// Symbol names of the programs.
pub mod program {
    /// tcx ingress of a pod's host-side veth: every packet a pod sends.
    pub const FROM_POD: &str = "from_pod";
    /// Every program of the object.
    pub const ALL: [&str; 1] = [FROM_POD];
}
