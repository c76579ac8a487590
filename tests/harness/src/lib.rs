//! A data plane of one's own, and made-up packets to run through it: the `TEST_RUN` ring.
//!
//! [`isolated`] gives a closure its own network and mount namespace with an empty bpffs, so that fixtures neither see
//! each other nor the machine. [`Plane`] loads the real programs there; [`Frame`] builds packets.

#![expect(clippy::expect_used, reason = "a fixture that cannot be set up is a failed test")]

mod frame;
mod isolate;
mod plane;
mod test_object;

pub use frame::Frame;
pub use isolate::{is_root, isolated};
pub use plane::{Action, Outcome, Plane, Pod};
pub use test_object::load_test_object;
