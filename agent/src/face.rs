//! What the agent shows of itself: metrics, health, readiness and its state, by HTTP; its life to systemd.
//!
//! All of it is on a thread of its own, so that neither a slow reader nor a scrape holds up what the agent is there for, and
//! a part of the agent that hangs can be named.

mod health;

pub use health::{Health, Report, Weight};
