//! What the tests in `tests/` and the demo share.

mod cluster;
mod connection;
mod nft_counters;
mod pods;
pub mod soak;
mod stage;

pub use cluster::{Cluster, ClusterBuilder};
pub use connection::Connection;
pub use nft_counters::NftCounters;
pub use pods::{pairs, stranger};
pub use stage::{GATEWAY_MAC, Stage};
