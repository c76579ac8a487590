//! One module for each group of figures.

pub mod agent;
pub mod cni;
pub mod packets;
pub mod programs;
pub mod sockets;
