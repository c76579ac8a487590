//! `--masquerade-ports`: a range of ports, written `20000-29999`.

use std::{fmt, ops::RangeInclusive, str::FromStr};

/// A range of ports, none of them a system port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRange(RangeInclusive<u16>);

/// Why a text is no range of ports to lend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// It is not written as one.
    #[error("{0:?} is not a range of ports such as 20000-29999")]
    Syntax(String),
    /// It is upside down.
    #[error("{first}-{last} ends before it begins; write {last}-{first}")]
    Order {
        /// What was to be its first port.
        first: u16,
        /// What was to be its last.
        last: u16,
    },
    /// It has ports that services of the node listen on.
    #[error("{0} is below 1024, where the node's own services are; choose higher ports")]
    System(u16),
}

impl PortRange {
    /// Between what the kernel gives out by itself (from 32768 on), `NodePort`s (from 30000 on) and what services listen on.
    pub const DEFAULT: &str = "20000-29999";

    /// The ports.
    #[must_use]
    pub fn ports(&self) -> RangeInclusive<u16> {
        self.0.clone()
    }
}

impl FromStr for PortRange {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let port = |text: &str| text.trim().parse::<u16>().ok();
        let ends = text.split_once('-').and_then(|(first, last)| port(first).zip(port(last)));
        match ends.ok_or_else(|| Invalid::Syntax(text.to_owned()))? {
            (first, last) if first > last => Err(Invalid::Order { first, last }),
            (first @ ..1024, _) => Err(Invalid::System(first)),
            (first, last) => Ok(Self(first..=last)),
        }
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.start(), self.0.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_is_written() {
        for text in [PortRange::DEFAULT, "1024-65535", "4000-4000"] {
            assert_eq!(text.parse().as_ref().map(PortRange::to_string).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_none_is_told_why() {
        for text in ["", "20000", "20000-", "-29999", "a-b", "20000-65536", "20000-29999-3", "20000:29999"] {
            assert_eq!(text.parse::<PortRange>(), Err(Invalid::Syntax(text.to_owned())));
        }
        assert_eq!("5000-4000".parse::<PortRange>(), Err(Invalid::Order { first: 5000, last: 4000 }));
        assert_eq!("1023-4000".parse::<PortRange>(), Err(Invalid::System(1023)));
        assert_eq!("0-0".parse::<PortRange>(), Err(Invalid::System(0)));
    }
}
