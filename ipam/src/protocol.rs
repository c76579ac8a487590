//! The plugin side of the CNI specification, versions 0.3.0 to 1.1.0: environment, configuration on standard input,
//! results and errors on standard output.
//!
//! Invariants: standard output carries exactly one JSON document or nothing, also when the plugin panics; the exit code
//! is zero exactly if that document is not an error; logs go to standard error. What a plugin does is behind
//! [`Plugin`], and never sees the process's environment or streams.

mod delegate;
mod env;
mod error;
mod logging;
mod previous;
mod request;
mod result;
mod serve;
mod version;
mod wish;

pub use delegate::Delegate;
pub use env::{Args, Env, Verb};
pub use error::{CniError, Code};
pub use logging::LogSettings;
pub use previous::Previous;
pub use request::{Request, Target};
pub use result::{AddResult, Added, Dns, Interface, Ip, Route};
pub use serve::{Plugin, call, serve};
pub use version::{UnsupportedVersion, Version};
pub use wish::{RuntimeDns, requested_mac};
pub(crate) use wish::{args_error, wishes};
