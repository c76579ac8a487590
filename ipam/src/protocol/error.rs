//! The error document.

use serde::Serialize;

use super::Version;
use crate::{attachment::InvalidAttachment, json::FieldError};

/// Error codes: the specification's, and from 100 on ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "u32")]
pub enum Code {
    /// The configuration's version is not spoken here.
    IncompatibleVersion,
    /// A field of the configuration is understood but not supported.
    UnsupportedField,
    /// A variable of the environment is missing or makes no sense.
    InvalidEnvironment,
    /// Files or streams failed.
    Io,
    /// Standard input is not JSON.
    Decode,
    /// The configuration is JSON but makes no sense.
    InvalidConfig,
    /// `CNI_NETNS` is not a network namespace that may be used.
    InvalidNetns,
    /// Something that passes: the runtime should try again.
    TryAgainLater,
    /// No ADD can succeed now.
    NotAvailable,
    /// The attachment exists already.
    Duplicate,
    /// No address is left, or not the one asked for.
    NoAddress,
    /// The kernel refused a change to links, addresses or routes.
    Network,
    /// The eBPF data plane refused.
    DataPlane,
    /// CHECK found something other than what ADD left.
    CheckFailed,
    /// Something is still held that should have been released.
    Incomplete,
    /// Another IPAM plugin cannot be run, or answers what makes no sense.
    Delegate,
    /// The interface that another plugin made is none that the data plane can stand in front of.
    NotChainable,
    /// A fault of the plugin itself.
    Internal,
    /// What another plugin said, passed on.
    Foreign(u32),
}

impl From<Code> for u32 {
    fn from(code: Code) -> Self {
        match code {
            Code::IncompatibleVersion => 1,
            Code::UnsupportedField => 2,
            Code::InvalidEnvironment => 4,
            Code::Io => 5,
            Code::Decode => 6,
            Code::InvalidConfig => 7,
            Code::InvalidNetns => 8,
            Code::TryAgainLater => 11,
            Code::NotAvailable => 50,
            Code::Duplicate => 100,
            Code::NoAddress => 101,
            Code::Network => 102,
            Code::DataPlane => 103,
            Code::CheckFailed => 104,
            Code::Incomplete => 105,
            Code::Delegate => 106,
            Code::NotChainable => 107,
            Code::Internal => 999,
            Code::Foreign(code) => code,
        }
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
