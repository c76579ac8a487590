//! Tests of the lab itself. They need root, iproute2 and Debian's containernetworking-plugins.

mod capture;
mod cli;
mod cni;
mod lifetime;
mod nodes;
mod pods;
mod support;
mod traffic;
