//! The CNI specification as a table: each row runs for each version and each runtime that can express it, so a test is
//! called `primary::add_v4::v0_4_0::cnitool`. Beside it, lists with other projects' plugins.
//!
//! Rows leave runtimes out for these reasons: `cnitool` always gives a namespace, chooses container ids by it, and GC
//! without a list of what is valid; `rust_cni` hides errors of DEL, forgets the result before CHECK, and knows neither
//! GC nor STATUS nor capabilities. Rows about a single call, which no runtime would make, have `driver` alone.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod addresses;
mod calls;
mod conflists;
mod foreign;
mod host_ports;
mod kernel;
mod mistakes;
mod primary;
mod verbs;
