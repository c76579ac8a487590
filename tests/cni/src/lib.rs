//! What the tests in `tests/` share: runtimes that drive CNI plugins, a node to drive them on, and the table's rows.
//!
//! A row of the table is a function of a [`Cell`], which is a fresh node, a version of the specification and a runtime;
//! [`rows!`] makes a test of each. Rows say what must hold whoever drives the plugin, so they see only what every
//! runtime shows: results, failures, and what is on the node afterwards.

mod cell;
mod container;
mod facts;
pub mod peers;
mod rows;
pub mod runtime;

pub use self::{
    cell::{Cell, NETWORK, load_data_plane, start_lab},
    container::Container,
    facts::{addresses, ip, link, routes},
    runtime::{Failure, Kind, Runtime},
};
