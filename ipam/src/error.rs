//! What can go wrong with addresses.

use std::{io, net::IpAddr, path::PathBuf};

use crate::{
    Attachment,
    protocol::{CniError, Code},
};

/// An allocation, release or check that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the store failed.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The attachment holds addresses already.
    #[error("{0} has addresses already; a second ADD needs a DEL before it")]
    Duplicate(Attachment),
    /// A set of ranges is used up.
    #[error("no IP addresses available in range set {set}: {used} in use of {size}, {cooling} cooling")]
    Exhausted {
        /// The set's ranges.
        set: String,
        /// How many addresses it has, gateways and exclusions left out.
        size: u128,
        /// How many of them are held.
        used: usize,
        /// How many of them rest: none, as far as the store could be seen at one time, because rest causes no
        /// exhaustion.
        cooling: usize,
    },
    /// Others were always faster.
    #[error("{0} addresses in a row were taken by others at the last moment")]
    Contended(u32),
    /// A requested address is a gateway.
    #[error("requested IP address {0} is a gateway")]
    Gateway(IpAddr),
    /// A requested address is excluded.
    #[error("requested IP address {0} is excluded")]
    Excluded(IpAddr),
    /// A requested address is held by somebody else.
    #[error("requested IP address {0} is in use")]
    InUse(IpAddr),
    /// A requested address has no set to come from.
    #[error("requested IP address {0} is in no range, or its range set serves another requested address")]
    NoSuchRange(IpAddr),
    /// The store's directory was somebody else's before.
    #[error(
        "ipam.dataDir: {0} holds addresses that host-local has given out; leave dataDir out or name another, and set \
         hostLocalDir to {0} to have them taken over"
    )]
    Foreign(String),
    /// What is to be taken over is the directory of networks, not that of one.
    #[error("ipam.hostLocalDir: {} holds no addresses but the networks' directories, like {network}; name one of them",
        dir.display())]
    HostLocalParent {
        /// The directory.
        dir: PathBuf,
        /// A network in it.
        network: String,
    },
    /// The attachment holds no address.
    #[error("{0} holds no address")]
    NotHeld(Attachment),
}

impl Error {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

impl From<Error> for CniError {
    fn from(error: Error) -> Self {
        let code = match error {
            Error::Io { .. } => Code::Io,
            Error::Duplicate(_) => Code::Duplicate,
            Error::Exhausted { .. }
            | Error::Gateway(_)
            | Error::Excluded(_)
            | Error::InUse(_)
            | Error::NoSuchRange(_) => Code::NoAddress,
            Error::Foreign(_) | Error::HostLocalParent { .. } => Code::InvalidConfig,
            Error::Contended(_) => Code::TryAgainLater,
            Error::NotHeld(_) => Code::CheckFailed,
        };
        Self::new(code, error.to_string())
    }
}
