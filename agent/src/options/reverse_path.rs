//! `--reverse-path`.

use clap::ValueEnum;

/// Which senders beyond the NICs are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReversePath {
    /// Any.
    Off,
    /// Those that the host has a route to.
    Loose,
    /// Those that the host's route leads to by the same NIC.
    Strict,
}

impl From<ReversePath> for caracal_datapath::ReversePath {
    fn from(mode: ReversePath) -> Self {
        match mode {
            ReversePath::Off => Self::Off,
            ReversePath::Loose => Self::Loose,
            ReversePath::Strict => Self::Strict,
        }
    }
}
