//! The agent against a real API server, and the API server itself.

mod accounts;
mod control_plane;
mod proxies;
