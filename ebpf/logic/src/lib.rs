//! Packet logic without a kernel: one parser, compiled for BPF and for the host.
//!
//! The eBPF programs decide by what this crate reads out of a packet, and the tests, the fuzzer and Miri run the very
//! same code over plain slices. So nothing here allocates, panics, or knows a map or a helper. On BPF everything but the
//! walk over IPv6 extension headers is inlined into the program: results are aggregates, which functions there cannot
//! return, and fields that a program never looks at cost it nothing.
//!
//! Strictness: refused is what contradicts itself, so that no two readers of a packet can see different ports in it.
//! Nothing is refused that the kernel's own stack would deliver, with one exception: fragments cut so small that the
//! transport header is not whole in the first of them (RFC 1858, RFC 7112).

#![cfg_attr(not(test), no_std)]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]
#![deny(unsafe_code)]
#![expect(clippy::inline_always, reason = "BPF functions cannot return the aggregates that these do")]

mod checksum;
pub mod control;
pub mod headers;
mod link;
mod malformed;
mod network;
mod pace;
mod packet;
pub mod sctp;
pub mod tracking;
#[cfg_attr(target_arch = "bpf", expect(unsafe_code, reason = "inline assembly, which only BPF has"))]
mod verifier;
#[expect(unsafe_code, reason = "the one place that turns bytes into headers")]
mod wire;

pub use checksum::{checksum_after, checksum_after_aging};
pub use link::{Link, arp, link};
pub use malformed::Malformed;
pub use network::{Family, Fragment, MAX_EXTENSIONS, Network, V4, V6};
pub use pace::Pace;
pub use packet::{Kind, Packet, inner, parse};
pub use verifier::MAX_OFFSET;
pub use wire::{Bytes, Wire};
