//! `caracal`, the CNI plugin.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use caracal_cni_plugin::verbs::Caracal;
use caracal_ipam::protocol;

fn main() -> ExitCode {
    protocol::serve(&Caracal)
}
