//! What `caracal-stress` finds on nodes of the lab. Needs root.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod crowd;
mod kill;
