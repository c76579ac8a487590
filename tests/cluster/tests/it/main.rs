//! The agent against a real API server, and the API server itself.

mod accounts;
mod bad_days;
mod both_sources;
mod control_plane;
mod crowds;
mod proxies;
mod rights;
