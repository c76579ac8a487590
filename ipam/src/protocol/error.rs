//! The error document.

use serde::Serialize;

use super::Version;
use crate::{attachment::InvalidAttachment, json::FieldError};

/// Error codes: the specification's, and from 100 on ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "u32")]
#[repr(u32)]
pub enum Code {
    /// The configuration's version is not spoken here.
    IncompatibleVersion = 1,
    /// A field of the configuration is understood but not supported.
    UnsupportedField = 2,
    /// A variable of the environment is missing or makes no sense.
    InvalidEnvironment = 4,
    /// Files or streams failed.
    Io = 5,
    /// Standard input is not JSON.
    Decode = 6,
    /// The configuration is JSON but makes no sense.
    InvalidConfig = 7,
    /// `CNI_NETNS` is not a network namespace that may be used.
    InvalidNetns = 8,
    /// Something that passes: the runtime should try again.
    TryAgainLater = 11,
    /// No ADD can succeed now.
    NotAvailable = 50,
    /// The attachment exists already.
    Duplicate = 100,
    /// No address is left, or not the one asked for.
    NoAddress = 101,
    /// The kernel refused a change to links, addresses or routes.
    Network = 102,
    /// The eBPF data plane refused.
    DataPlane = 103,
    /// CHECK found something other than what ADD left.
    CheckFailed = 104,
    /// Something is still held that should have been released.
    Incomplete = 105,
    /// A fault of the plugin itself.
    Internal = 999,
}

impl From<Code> for u32 {
    fn from(code: Code) -> Self {
        code as Self
    }
}

/// What went wrong, as the runtime gets to see it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{msg}{}", if details.is_empty() { String::new() } else { format!(": {details}") })]
pub struct CniError {
    /// What kind of error it is.
    pub code: Code,
    /// In one line.
    pub msg: String,
    /// What to do about it, or the rest of the story; may be empty.
    pub details: String,
}

/// The document as it is written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ErrorDocument<'a> {
    cni_version: &'static str,
    code: Code,
    msg: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    details: &'a str,
}

impl CniError {
    /// An error without details.
    pub fn new(code: Code, msg: impl Into<String>) -> Self {
        Self { code, msg: msg.into(), details: String::new() }
    }

    /// The same with details.
    #[must_use]
    pub fn with_details(self, details: impl Into<String>) -> Self {
        Self { details: details.into(), ..self }
    }

    /// Success if nothing went wrong, else one error for all that did.
    pub fn collect(msg: &str, errors: impl IntoIterator<Item = String>) -> Result<(), Self> {
        let errors: Vec<_> = errors.into_iter().collect();
        if errors.is_empty() { Ok(()) } else { Err(Self::new(Code::Incomplete, msg).with_details(errors.join("; "))) }
    }

    pub(super) fn document(&self, version: Version) -> ErrorDocument<'_> {
        ErrorDocument { cni_version: version.text(), code: self.code, msg: &self.msg, details: &self.details }
    }
}

impl From<FieldError> for CniError {
    fn from(error: FieldError) -> Self {
        Self::new(Code::InvalidConfig, error.to_string())
    }
}

impl From<InvalidAttachment> for CniError {
    fn from(error: InvalidAttachment) -> Self {
        let variable = match error {
            InvalidAttachment::Ifname(_) => "CNI_IFNAME",
            InvalidAttachment::ContainerId(_) | InvalidAttachment::TooLong(_) => "CNI_CONTAINERID",
        };
        Self::new(Code::InvalidEnvironment, format!("{variable}: {error}"))
    }
}
