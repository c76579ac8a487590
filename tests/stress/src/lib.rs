//! The plugin at its worst moments: killed at each of its system calls, and dozens of it at once.
//!
//! Tests make a lab and run `caracal-stress` on its nodes, which has this library do the work there: what it finds
//! below `/run`, `/proc` and `/sys` is the node's.
//!
//! * [`tracer`], [`program`]: a program that is killed exactly before a system call of one's choice.
//! * [`ground`]: a node with a pod and its neighbour, and everything that ADDs leave on it.
//! * [`plugin`]: calls of the plugin.
//! * [`kill`]: kills it at every system call, cleans up and compares.
//! * [`crowd`]: runs many at once.

#![deny(unsafe_code)]

pub mod crowd;
pub mod ground;
pub mod kill;
pub mod plugin;
pub mod program;
#[expect(unsafe_code, reason = "the one place for what is not safe")]
mod sys;
pub mod tracer;
