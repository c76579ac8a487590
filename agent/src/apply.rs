//! Making the node hold what was computed: only differences are written.

pub mod dataplane;
pub mod limits;
pub mod nics;
pub mod pods;
pub mod ports;
pub mod queues;
pub mod routes;
pub mod settle;
pub mod sockets;
pub mod sources;
pub mod upkeep;
pub mod wanted;
