//! One module for each group of figures.

pub mod cni;
pub mod established;
pub mod sockets;
