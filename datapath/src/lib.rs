//! User space of Caracal's eBPF programs.
//!
//! * [`Loader`] puts programs and maps into the kernel and pins them (the agent).
//! * [`Pinned`] opens what is pinned and attaches pods to it (the CNI plugin, `caracalctl`).
//! * [`Table`] is a typed map with batch operations; [`counters`] reads the counters, [`fill`] how full maps are.
//! * [`events`] are single packets that the programs tell of.
//! * [`Features`] says what this kernel can do, by trying.
//!
//! Everything is below a [`Root`], a directory on a bpffs, so that tests have a data plane of their own.

pub mod attach;
mod bpffs;
mod clock;
pub mod conntrack;
pub mod counters;
mod error;
pub mod events;
mod features;
pub mod fill;
mod flows;
mod load;
mod pairs;
mod pinned;
mod root;
#[expect(unsafe_code, reason = "calls of bpf(2) that aya has no wrapper for")]
mod snippet;
#[expect(unsafe_code, reason = "the one place that makes bpf(2) calls aya has no wrapper for")]
mod sys;
mod table;

pub use bpffs::mount as mount_bpffs;
pub use caracal_abi as abi;
pub use clock::Clock;
pub use error::Error;
pub use features::{Feature, Features, Importance};
pub use flows::{Entry, Flows, Place};
pub use load::{Loaded, Loader, Mismatch, ReversePath};
pub use pairs::Pairs;
pub use pinned::{Mapping, Pinned};
pub use root::Root;
pub use table::{Revision, Table};
