//! What Caracal finds on a node of AKS, for nodes of the lab.
//!
//! * [`cns`]: the address service, which runs on the node's loopback; the stub gives addresses out of small pools and
//!   says who has which.
//! * [`vnet`]: the network plugin in its transparent mode, as far as another plugin, the pod or the node can tell.
//! * [`http`]: what the two speak.
//!
//! The facts are those of the real plugin's source, and of running it; the tests run with either.

#![forbid(unsafe_code)]

pub mod cns;
pub mod http;
pub mod vnet;
