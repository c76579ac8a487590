//! The `caracal` binary in real network namespaces, driven as a runtime drives it. Needs root.
//!
//! Every test is a machine of its own: its thread moves to new network and mount namespaces, with a `/run` of its own,
//! so tests neither meet each other nor touch what was there before, and nothing is left of them however they end.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod agent;
mod bandwidth;
mod capabilities;
mod chained;
mod codes;
mod dataplane;
mod delegates;
mod handover;
mod life;
mod list;
mod netlink;
mod node;
mod settings;
mod undo;
mod unusual;
mod upkeep;
mod versions;
