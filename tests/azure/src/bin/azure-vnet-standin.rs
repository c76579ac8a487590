//! Stands in for `azure-vnet` where the real one is not at hand.

use std::process::ExitCode;

fn main() -> ExitCode {
    caracal_azure::vnet::main()
}
