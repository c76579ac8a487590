//! Traffic to test with: echo servers that say whom they saw, requests to them, ICMP echo, and raw frames.
//!
//! The functions here act where they are called: in the network namespace of the calling thread. [`crate::Site`] has a
//! method for each that acts in a pod or machine. Requests and servers run there as processes of their own, because
//! only a process can be in a node's cgroup, and socket programs see only what is.

mod datagrams;
mod exchange;
pub(crate) mod frame;
mod listen;
pub(crate) mod ping;
pub(crate) mod serve;
mod tcp;
mod udp;

pub(crate) use self::exchange::{decode_outcome, encode_request, run_one};
pub use self::{
    datagrams::{Datagrams, Received, path_mtu},
    exchange::{Error, ErrorKind, Reply, Request, roundtrip},
    frame::send_frames,
    listen::{Listen, Protocol},
    ping::{Ping, PingError, Pong, ping},
    serve::serve,
    tcp::connect_tcp,
};
