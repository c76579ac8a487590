//! The agent: source → model → compile → apply.
//!
//! * [`source`] reads what is wanted (a directory of Kubernetes YAML, or Kubernetes' API).
//! * [`model`] is that as plain structs.
//! * [`compile`] computes, without touching a kernel, what the node should hold.
//! * [`endpoints`] hears from the plugin, and compares what all sides know of pods.
//! * [`apply`] writes the difference between that and what it does hold.
//! * [`config`] is how the agent itself is set up, and [`face`] what it shows of itself.
//!
//! The agent may be killed at any moment: what it pinned and routed goes on working, and the next start writes only
//! what is not right already.

pub mod apply;
pub mod compile;
pub mod config;
pub mod endpoints;
pub mod face;
mod lock;
pub mod logs;
pub mod model;
mod options;
mod run;
pub mod source;

pub use options::{Follow, Host, LogFilter, Options, PortRange, ReversePath};
pub use run::run;
