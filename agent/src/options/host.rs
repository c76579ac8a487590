//! On which addresses the agent listens.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// An address, or the two that a word stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// The loopback addresses of both families.
    Localhost,
    /// Every address of both families.
    All,
    /// This one.
    Ip(IpAddr),
}

impl Host {
    /// The addresses. Of two, one is enough: a node may have one family alone.
    #[must_use]
    pub fn ips(self) -> Vec<IpAddr> {
        match self {
            Self::Localhost => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            Self::All => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
            Self::Ip(ip) => vec![ip],
        }
    }
}

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "localhost" => Ok(Self::Localhost),
            "all" => Ok(Self::All),
            _ => text.parse().map(Self::Ip).ok().ok_or_else(|| format!("{text:?} is none")),
        }
    }
}
