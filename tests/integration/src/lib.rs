//! What the tests in `tests/` and the demo share.

mod cluster;
mod connection;
mod pods;

pub use cluster::Cluster;
pub use connection::Connection;
pub use pods::{pairs, stranger};
