//! What the tests in `tests/` and the demo share.

mod cluster;
mod pods;

pub use cluster::Cluster;
pub use pods::{pairs, stranger};
