//! The agent against a real API server, and the API server itself.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod accounts;
mod bad_days;
mod both_sources;
mod control_plane;
mod crowds;
mod kinds;
mod proxies;
mod rights;
