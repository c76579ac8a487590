//! Addresses for the pods of one node.
//!
//! * [`config`]: what a network configuration asks for, in host-local's schema.
//! * [`ranges`]: the arithmetic of address ranges; pure.
//! * [`store`]: who holds which address, as files; what makes allocation safe between processes and across kills.
//! * [`Ipam`]: the three together, as the plugins use them.
//! * [`protocol`]: the plugin side of the CNI specification, which `caracal` and `caracal-ipam` both speak. It stands
//!   here because this is the lower of the two crates.
//! * [`json`], [`nameless`]: configuration read by field, files that appear in one piece; small tools of both plugins.
//! * [`plugin`]: the `caracal-ipam` plugin.

#![forbid(unsafe_code)]

pub mod attachment;
pub mod config;
pub mod json;
pub mod nameless;
pub mod plugin;
pub mod protocol;
pub mod ranges;
pub mod store;

mod allocate;
mod error;
mod gone;
mod host_local;
mod resolv;

pub use allocate::{Ipam, Lease};
pub use attachment::Attachment;
pub use config::Config;
pub use error::Error;
