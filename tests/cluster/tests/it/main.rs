//! The agent against a real API server, and the API server itself.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod control_plane;
