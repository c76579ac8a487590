//! A data plane of one's own, and made-up packets to run through it: the `TEST_RUN` ring.
//!
//! [`isolated`] gives a closure its own network and mount namespace with an empty bpffs, so that fixtures neither see
//! each other nor the machine. [`Plane`] loads the real programs there, [`Net`] is what the kernel knows of the network,
//! [`Frame`] and [`shape`] build packets, [`Life`] tells what becomes of one, and [`packet`] reads them.

#![expect(clippy::expect_used, reason = "a fixture that cannot be set up is a failed test")]

mod context;
mod crowd;
mod frame;
mod isolate;
mod life;
mod net;
pub mod packet;
mod plane;
mod pod;
pub mod shape;
mod test_object;

pub use context::Context;
pub use crowd::{Crowd, End};
pub use frame::{Frame, Problem, Quote, tcp};
pub use isolate::{is_root, isolated};
pub use life::Life;
pub use net::{Net, Nic};
pub use packet::{Edit, Packet};
pub use plane::{Action, Outcome, Plane};
pub use pod::Pod;
pub use test_object::load_test_object;
