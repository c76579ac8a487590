//! The parser against packets of every shape: built, broken, cut and random.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests are allowed what tests are")]

mod frames;
mod icmp_errors;
mod link;
mod malformed;
mod oracle;
mod property;
mod read;
mod transport;
