//! Where an echo server listens.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// Where an echo server listens, written `tcp/8080`, or `udp/[fd00::1]:53` for one address only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Listen {
    /// The protocol.
    pub protocol: Protocol,
    /// The address; all of both families if absent.
    pub address: Option<IpAddr>,
    /// The port.
    pub port: u16,
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (protocol, place) = match text.split_once('/') {
            Some(("tcp", place)) => (Protocol::Tcp, place),
            Some(("udp", place)) => (Protocol::Udp, place),
            _ => return Err(format!("`{text}` is neither tcp/… nor udp/…")),
        };
        if let Ok(port) = place.parse() {
            return Ok(Self { protocol, address: None, port });
        }
        let socket: SocketAddr = place
            .parse()
            .map_err(|error| format!("`{text}`: `{place}` is neither a port nor address and port ({error})"))?;
        Ok(Self { protocol, address: Some(socket.ip()), port: socket.port() })
    }
}

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{}/{}", self.protocol, SocketAddr::new(address, self.port)),
            None => write!(f, "{}/{}", self.protocol, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_is_written() {
        for text in ["tcp/80", "udp/10.0.0.1:53", "tcp/[fd00::1]:8080"] {
            assert_eq!(text.parse::<Listen>().map(|listen| listen.to_string()).as_deref(), Ok(text));
        }
        for text in ["80", "tcp", "tcp/", "sctp/80", "tcp/65536", "udp/fd00::1:53x"] {
            let error = text.parse::<Listen>().unwrap_err();
            assert!(error.contains(text), "{error}");
        }
    }
}
