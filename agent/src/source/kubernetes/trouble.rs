//! What can go wrong between the API server and a follower, by what is to be done about it.

use std::{io, time::Duration};

/// Why a list or a watch ended.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The server does not know the kind.
    #[error("the API server does not know the kind")]
    Absent,
    /// It has forgotten the version to go on from.
    #[error("the API server has forgotten the version to go on from")]
    Expired,
    /// It cannot stream lists.
    #[error("the API server does not stream lists: {0}")]
    CannotStream(String),
    /// It does not serve the kind just now.
    #[error("the API server is not available: {0}")]
    Unavailable(String),
    /// It does not let us.
    #[error("the API server refuses: {0}; install/rbac.yaml has the rules that are needed")]
    Refused(String),
    /// It answers with an error.
    #[error("the API server answers: {0}")]
    Answered(String),
    /// It could not be asked, or stopped answering.
    #[error("no answer from the API server: {0}")]
    Silent(String),
    /// It is there, but tells nothing.
    #[error("the API server tells nothing within {} s", .0.as_secs())]
    Quiet(Duration),
    /// What it says is no answer.
    #[error("the API server's answer cannot be read: {0}")]
    Garbled(String),
}

impl Trouble {
    /// By the code of a `Status`.
    pub fn of_status(code: u16, message: &str) -> Self {
        let message = format!("{code} {message}");
        match code {
            404 => Self::Absent,
            410 => Self::Expired,
            400 | 422 => Self::CannotStream(message),
            401 | 403 => Self::Refused(message),
            429 | 503 | 504 => Self::Unavailable(message),
            _ => Self::Answered(message),
        }
    }

    /// Whether another server may be better.
    pub fn is_about_the_server(&self) -> bool {
        matches!(self, Self::Silent(_) | Self::Quiet(_) | Self::Garbled(_) | Self::Unavailable(_) | Self::Answered(_))
    }
}

impl From<kube::Error> for Trouble {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of_status(status.code, &status.message),
            error @ (kube::Error::FromUtf8(_) | kube::Error::SerdeError(_)) => Self::Garbled(chain(&error)),
            error => Self::Silent(chain(&error)),
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Silent(chain(&error))
    }
}

/// An error and what it is about, which libraries leave to its sources.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
