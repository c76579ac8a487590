//! `caracal-ipam`: Caracal's address allocation as an IPAM plugin for other main plugins.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use caracal_ipam::{plugin::IpamPlugin, protocol};

fn main() -> ExitCode {
    protocol::serve(&IpamPlugin)
}
