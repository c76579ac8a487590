//! The network configurations Caracal ships, from one typed source: what the installer writes, what the lab and the
//! tests use, and what the documentation shows are the same.
//!
//! Keys come out in a fixed order, so two renderings differ only where their meaning does.

#![forbid(unsafe_code)]

mod azure;
mod chained;
mod conflist;
mod primary;

pub use azure::{AZURE, VendorList};
pub use chained::{ChainedOptions, InvalidList, chained};
pub use conflist::{Capabilities, CniVersion, Companion, Conflist, Entry, Ipam, Plugin, Policy, Range};
pub use primary::{PrimaryOptions, primary};

/// Name of our plugin's binary.
pub const BINARY: &str = "caracal";
