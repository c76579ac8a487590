//! Attaching pinned programs so that they stay when we go.
//!
//! A link is pinned beside its program; attaching again replaces the program behind the pinned link, so no packet
//! passes in between. Where the kernel has no links for a hook, the older interface is used, and said.

mod cgroup;
mod link;
mod tc;
mod xdp;

/// What can be attached to.
pub use aya::programs::{CgroupSockAddrAttachType, XdpMode};
pub use cgroup::{SOCKETS, cgroup};
pub use link::unpin;
pub use tc::{Direction, Method, PRIORITY, detach_tc, forget_tc, tc};
pub use xdp::xdp;
