//! Runtimes: what calls plugins, on a node.
//!
//! Each is given the list as a value and a container, and shows the result or the failure. What it cannot say to a
//! plugin at all, or hides of what the plugin says, rows that need it leave out, and say so.

mod cnitool;
mod driver;
mod rust_cni;

use std::fmt;

use caracal_lab::Node;
use serde_json::Value;

pub use self::{
    cnitool::Cnitool,
    driver::OwnDriver,
    rust_cni::{Order, RustCni},
};
use crate::Container;

/// A verb that failed, as far as the runtime lets it be known.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The plugin's error code, if the runtime passes that on.
    pub code: Option<u32>,
    /// All that was said.
    pub text: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Runs the verbs of a whole list of plugins.
pub trait Runtime {
    /// ADD; the last plugin's result.
    fn add(&self, node: &Node, list: &Value, container: &Container) -> Result<Value, Failure>;

    /// DEL.
    fn del(&self, node: &Node, list: &Value, container: &Container) -> Result<(), Failure>;

    /// CHECK.
    fn check(&self, node: &Node, list: &Value, container: &Container) -> Result<(), Failure>;

    /// STATUS.
    fn status(&self, node: &Node, list: &Value) -> Result<(), Failure>;

    /// GC of all but `valid`.
    fn gc(&self, node: &Node, list: &Value, valid: &[&Container]) -> Result<(), Failure>;
}

/// The runtimes there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The lab's own: strict, and says everything.
    Driver,
    /// Go's libcni, by its command line. Chooses container ids itself, always gives a namespace, hides error codes.
    Cnitool,
    /// The `rust-cni` crate. Forgets most of a result, hides errors of DEL, knows neither GC nor STATUS nor
    /// capabilities.
    RustCni,
}

impl Kind {
    /// The runtime.
    #[must_use]
    pub fn runtime(self) -> Box<dyn Runtime> {
        match self {
            Self::Driver => Box::new(OwnDriver),
            Self::Cnitool => Box::new(Cnitool),
            Self::RustCni => Box::new(RustCni),
        }
    }
}

/// Something that is wrong with the test or the machine, not with a plugin.
fn broken(error: &anyhow::Error) -> Failure {
    Failure { code: None, text: format!("{error:#}") }
}
