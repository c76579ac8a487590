//! The key of everything a CNI plugin does: one interface of one container.

use std::{fmt, str::FromStr};

/// Longest file name that Linux file systems take.
const FILE_NAME_MAX: usize = 255;

/// Longest interface name the kernel takes.
const IFNAME_MAX: usize = 15;

/// A container's interface. Written `containerID:ifname`, which is a file name and cannot be ambiguous: neither part
/// may contain a colon or a slash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attachment {
    container_id: String,
    ifname: String,
}

/// What makes a container ID or an interface name unusable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAttachment {
    /// `CNI_CONTAINERID` is not what the specification allows.
    #[error("container ID {0:?} must start with a letter or digit and go on with letters, digits, '_', '.' and '-'")]
    ContainerId(String),
    /// `CNI_IFNAME` cannot name a network interface.
    #[error("interface name {0:?} must have 1 to 15 bytes, no '/', ':' or white space, and not be \".\" or \"..\"")]
    Ifname(String),
    /// Together they exceed a file name.
    #[error("container ID {0:?} is too long to be kept as a file name")]
    TooLong(String),
}

impl Attachment {
    /// Checks both names by the rules of the CNI specification.
    pub fn new(container_id: &str, ifname: &str) -> Result<Self, InvalidAttachment> {
        if !is_identifier(container_id) {
            return Err(InvalidAttachment::ContainerId(container_id.to_owned()));
        }
        if !is_ifname(ifname) {
            return Err(InvalidAttachment::Ifname(ifname.to_owned()));
        }
        if container_id.len() + 1 + ifname.len() > FILE_NAME_MAX {
            return Err(InvalidAttachment::TooLong(container_id.to_owned()));
        }
        Ok(Self { container_id: container_id.to_owned(), ifname: ifname.to_owned() })
    }

    /// The runtime's name for the container.
    #[must_use]
    pub fn container_id(&self) -> &str {
        &self.container_id
    }

    /// The interface inside the container.
    #[must_use]
    pub fn ifname(&self) -> &str {
        &self.ifname
    }
}

impl fmt::Display for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.container_id, self.ifname)
    }
}

impl FromStr for Attachment {
    type Err = InvalidAttachment;

    fn from_str(text: &str) -> Result<Self, InvalidAttachment> {
        let (container_id, ifname) = text.split_once(':').unwrap_or((text, ""));
        Self::new(container_id, ifname)
    }
}

/// Whether the specification allows `text` as a container ID or as the name of a network.
#[must_use]
pub fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

fn is_ifname(text: &str) -> bool {
    (1..=IFNAME_MAX).contains(&text.len())
        && !matches!(text, "." | "..")
        && !text.contains(|c: char| matches!(c, '/' | ':' | '\0') || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_form_reads_back() {
        let attachment = Attachment::new("4f0_a.B-9", "eth0").unwrap();
        assert_eq!(attachment.to_string(), "4f0_a.B-9:eth0");
        assert_eq!("4f0_a.B-9:eth0".parse(), Ok(attachment));
    }

    #[test]
    fn names_outside_the_specification_are_refused() {
        for id in ["", "-a", ".a", "a/b", "a b", "a:b", "ä"] {
            assert_eq!(Attachment::new(id, "eth0"), Err(InvalidAttachment::ContainerId(id.to_owned())));
        }
        for ifname in ["", ".", "..", "a/b", "a:b", "a b", "a\tb", "a\0b", "sixteen-bytes-xx"] {
            assert_eq!(Attachment::new("c", ifname), Err(InvalidAttachment::Ifname(ifname.to_owned())));
        }
        assert!(Attachment::new("c", "fifteen-bytes-x").is_ok());
        let long = "c".repeat(251);
        assert_eq!(Attachment::new(&long, "eth0"), Err(InvalidAttachment::TooLong(long.clone())));
        assert!(Attachment::new(&long[1..], "eth0").is_ok());
    }
}
