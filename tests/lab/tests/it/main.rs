//! Tests of the lab itself. They need root, iproute2 and Debian's containernetworking-plugins.

#![expect(clippy::unwrap_used, reason = "a test fails where it panics, and so do its helpers")]

mod capture;
mod cli;
mod cni;
mod devices;
mod lifetime;
mod nodes;
mod pods;
mod support;
mod traffic;
