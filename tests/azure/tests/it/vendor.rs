//! Whose `azure-vnet`.

use std::{env, path::PathBuf};

use caracal_lab::{Node, Site, bin, skip};

/// What is called `azure-vnet` on nodes.
#[derive(Debug)]
pub(crate) struct Vendor {
    /// Where it is.
    pub(crate) program: PathBuf,
}

impl Vendor {
    /// Ours, which does as the real one does.
    pub(crate) fn stand_in() -> Self {
        Self { program: bin("azure-vnet-standin").unwrap() }
    }

    /// The real one, if there is one.
    pub(crate) fn real() -> Option<Self> {
        let program = env::var_os("AZURE_VNET_BIN");
        if program.is_none() {
            skip("AZURE_VNET_BIN names no azure-vnet; its repository's `go build ./cni/network/plugin` makes one");
        }
        program.map(|program| Self { program: program.into() })
    }

    /// Puts it where the runtime looks.
    pub(crate) fn install(&self, node: &Node) {
        node.run("ln", ["-sfn", self.program.to_str().unwrap(), "/opt/cni/bin/azure-vnet"]).unwrap();
    }
}
