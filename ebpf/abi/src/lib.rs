//! Keys and values of the eBPF maps, shared by the programs in the kernel and everything in user space.
//!
//! Rules for every type here: `#[repr(C)]`, integers and byte arrays only, padding written out as fields, size and
//! alignment asserted. A map outlives the binaries that made it, so a change of any of these is a change of
//! [`LAYOUT_VERSION`], and with it of the directory the maps are pinned under.

#![cfg_attr(not(any(test, feature = "user")), no_std)]
#![expect(
    clippy::inline_always,
    reason = "a call costs as much as what these do, and BPF functions return scalars only"
)]

mod addr;
mod counter;
mod endpoint;
mod event;
mod flow;
mod fragment;
mod nic;
mod peer;
mod service;
mod translation;
#[cfg(feature = "user")]
mod user;

pub use addr::{Address, Be16, Be32, Be64, Ip4, Ip6, Mac};
pub use counter::{COUNTER_SLOTS, Counter, Disposition, Hook, Reason, counter_slot};
pub use endpoint::Endpoint;
pub use event::{Event, EventState};
pub use flow::{Flow, FlowKey, Pair, Via};
pub use fragment::{FirstFragment, FragmentKey, Held, HeldKey};
pub use nic::Nic;
pub use peer::Peer;
pub use service::{Service, ServiceKey, SocketKey, SocketPeer};
pub use translation::{Translation, both, change, change_of_word, fold};

/// Version of the whole set of map layouts; part of the pin path, so two versions never meet in one map.
pub const LAYOUT_VERSION: u32 = 4;

/// Symbol names of the maps, as the object file, the pin directory and the typed handles all use them.
///
/// At most 15 bytes: the kernel cuts longer names, and two that share the first 15 bytes look alike in `bpftool`.
pub mod map {
    /// Per-CPU packet counters, indexed by [`crate::counter_slot`].
    pub const COUNTERS: &str = "COUNTERS";
    /// Local pods by IPv4 address.
    pub const ENDPOINTS4: &str = "ENDPOINTS4";
    /// Local pods by IPv6 address.
    pub const ENDPOINTS6: &str = "ENDPOINTS6";
    /// Single packets, for people who watch. Pinned only while events are told.
    pub const EVENTS: &str = "EVENTS";
    /// How many events may be told, and how many were not; pinned with [`EVENTS`].
    pub const EVENTS_STATE: &str = "EVENTS_STATE";
    /// Decided IPv4 flows by exact 5-tuple.
    pub const FLOWS4: &str = "FLOWS4";
    /// Decided IPv6 flows by exact 5-tuple.
    pub const FLOWS6: &str = "FLOWS6";
    /// The same of IPv4 while only one side has spoken.
    pub const FLOWS_NEW4: &str = "FLOWS_NEW4";
    /// The same of IPv6.
    pub const FLOWS_NEW6: &str = "FLOWS_NEW6";
    /// What the first fragments of IPv4 datagrams have said.
    pub const FRAGS4: &str = "FRAGS4";
    /// The same of IPv6.
    pub const FRAGS6: &str = "FRAGS6";
    /// Fragments that have come before the first of their datagram.
    pub const HELD: &str = "HELD";
    /// The node's NICs by interface.
    pub const NICS: &str = "NICS";
    /// The node's own IPv4 addresses.
    pub const NODE4: &str = "NODE4";
    /// The node's own IPv6 addresses.
    pub const NODE6: &str = "NODE6";
    /// IPv4 prefixes that are not just the outside world.
    pub const PEERS4: &str = "PEERS4";
    /// IPv6 prefixes that are not just the outside world.
    pub const PEERS6: &str = "PEERS6";
    /// IPv4 services by address, port and protocol.
    pub const SERVICES4: &str = "SERVICES4";
    /// IPv6 services by address, port and protocol.
    pub const SERVICES6: &str = "SERVICES6";
    /// IPv4 prefixes that a pod may send from besides its addresses, by interface.
    pub const SOURCES4: &str = "SOURCES4";
    /// IPv6 prefixes that a pod may send from besides its addresses, by interface.
    pub const SOURCES6: &str = "SOURCES6";
    /// What sockets that talk to an IPv4 backend believe to talk to.
    pub const SOCK_REV4: &str = "SOCK_REV4";
    /// What sockets that talk to an IPv6 backend believe to talk to.
    pub const SOCK_REV6: &str = "SOCK_REV6";
    /// Programs that packets go on to, by [`crate::Tail`].
    pub const TAILS: &str = "TAILS";
    /// Maps that are there to be watched, and gone when nobody is to watch.
    pub const OF_EVENTS: [&str; 2] = [EVENTS, EVENTS_STATE];
    /// Every other map of this layout.
    pub const ALL: &[&str] = &[
        COUNTERS, ENDPOINTS4, ENDPOINTS6, FLOWS4, FLOWS6, FLOWS_NEW4, FLOWS_NEW6, FRAGS4, FRAGS6, HELD, NICS, NODE4,
        NODE6, PEERS4, PEERS6, SERVICES4, SERVICES6, SOCK_REV4, SOCK_REV6, SOURCES4, SOURCES6, TAILS,
    ];
}

/// Symbol names of the programs.
pub mod program {
    /// tcx ingress of a pod's host-side veth: every packet a pod sends.
    pub const FROM_POD: &str = "from_pod";
    /// tcx ingress of a NIC: every packet the node receives.
    pub const FROM_NET: &str = "from_net";
    /// Sockets that are told where to connect to.
    pub const CONNECT: [&str; 2] = ["connect4", "connect6"];
    /// Sockets that name the receiver of each datagram.
    pub const SENDMSG: [&str; 2] = ["sendmsg4", "sendmsg6"];
    /// Sockets that ask whom a datagram came from.
    pub const RECVMSG: [&str; 2] = ["recvmsg4", "recvmsg6"];
    /// Sockets that ask whom they are connected to.
    pub const GETPEERNAME: [&str; 2] = ["getpeername4", "getpeername6"];
    /// Every tc program that is attached.
    pub const TC: [&str; 2] = [FROM_POD, FROM_NET];
}

/// Writes the list of programs that packets go on to, once.
macro_rules! tails {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal;)+) => {
        /// Programs that packets go on to, by their number in [`map::TAILS`].
        #[repr(u32)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Tail { $($(#[doc = $doc])+ $variant,)+ }

        impl Tail {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The symbol name of the program.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

tails! {
    /// What the fast path of [`program::FROM_POD`] leaves of IPv4.
    FromPod4 = "from_pod4";
    /// The same of IPv6.
    FromPod6 = "from_pod6";
    /// What the fast path of [`program::FROM_NET`] leaves of IPv4.
    FromNet4 = "from_net4";
    /// The same of IPv6.
    FromNet6 = "from_net6";
    /// First packets that may be for a service, IPv4.
    Service4 = "service4";
    /// The same, IPv6.
    Service6 = "service6";
    /// First packets to nobody on this node, IPv4.
    Outside4 = "outside4";
    /// The same, IPv6.
    Outside6 = "outside6";
    /// Packets to be answered, IPv4.
    Answer4 = "answer4";
    /// The same, IPv6.
    Answer6 = "answer6";
    /// ICMP errors, IPv4.
    Related4 = "related4";
    /// The same, IPv6.
    Related6 = "related6";
    /// Fragments from pods that are not the first of their datagram, IPv4.
    FromPodFrag4 = "from_pod_frag4";
    /// The same, IPv6.
    FromPodFrag6 = "from_pod_frag6";
    /// The same from NICs, IPv4.
    FromNetFrag4 = "from_net_frag4";
    /// The same, IPv6.
    FromNetFrag6 = "from_net_frag6";
    /// First fragments that come after others of their datagram, of either family and from anywhere.
    Release = "release";
}
