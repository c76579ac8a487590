//! Time-outs as options give them: `tcp-established=3600`.

use std::str::FromStr;

use super::{Timeout, Timeouts};

/// A time-out that somebody has chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// Which.
    pub timeout: Timeout,
    /// How long.
    pub seconds: u32,
}

/// Why a text is no time-out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GivenError {
    /// Nothing is set equal to anything.
    #[error("time-out {text:?}: write NAME=SECONDS")]
    Form {
        /// What was given.
        text: String,
    },
    /// Nothing is called so.
    #[error("time-out {name:?}: there are only {}", names())]
    Name {
        /// What was given.
        name: String,
    },
    /// The value is none.
    #[error("time-out {name}: {value:?} is not a number of seconds from 1 to 4294967295")]
    Seconds {
        /// Which time-out.
        name: &'static str,
        /// What was given.
        value: String,
    },
}

impl FromStr for Given {
    type Err = GivenError;

    fn from_str(text: &str) -> Result<Self, GivenError> {
        let (name, value) = text.split_once('=').ok_or_else(|| GivenError::Form { text: text.to_owned() })?;
        let timeout = Timeout::ALL.into_iter().find(|timeout| timeout.name() == name.trim());
        let timeout = timeout.ok_or_else(|| GivenError::Name { name: name.trim().to_owned() })?;
        match value.trim().parse() {
            Ok(seconds) if seconds > 0 => Ok(Self { timeout, seconds }),
            _ => Err(GivenError::Seconds { name: timeout.name(), value: value.trim().to_owned() }),
        }
    }
}

impl Given {
    /// The kernel's defaults, but for those given. Of two for the same, the last counts.
    #[must_use]
    pub fn among_defaults(given: &[Self]) -> Timeouts {
        given.iter().fold(Timeouts::default(), |timeouts, it| timeouts.with(it.timeout, it.seconds))
    }
}

fn names() -> String {
    Timeout::ALL.map(Timeout::name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_counts_and_the_rest_is_the_kernels() {
        let given: Vec<Given> =
            "tcp-established=3600,udp = 60,udp=5".split(',').map(|it| it.parse().unwrap()).collect();
        let timeouts = Given::among_defaults(&given);
        assert_eq!([Timeout::TcpEstablished, Timeout::Udp].map(|it| timeouts.get(it)), [3600, 5]);
        assert_eq!(timeouts.get(Timeout::TcpSynSent), 120);
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        for (text, named) in [
            ("tcp-established", "tcp-established"),
            ("tcp_established=1", "tcp_established"),
            ("udp=soon", "udp"),
            ("udp=0", "udp"),
            ("udp=4294967296", "4294967296"),
            ("udp=-1", "-1"),
        ] {
            let error = text.parse::<Given>().unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
        assert!("x=1".parse::<Given>().unwrap_err().to_string().contains("udp-stream"));
    }
}
