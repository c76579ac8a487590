//! Where the model comes from.

pub mod manifests;
mod objects;
pub mod quantity;
mod watch;

pub use manifests::Manifests;
pub use watch::Watch;
