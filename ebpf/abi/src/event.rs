//! What the programs tell of single packets, for people who watch.

/// What `EVENTS` holds: a packet that was counted, and under which reason.
///
/// Addresses are words as they lie in memory, an IPv4 address being the first of its four.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// When, in nanoseconds of the kernel's monotonic clock.
    pub time_ns: u64,
    /// Source address.
    pub src: [u32; 4],
    /// Destination address.
    pub dst: [u32; 4],
    /// What becomes of the source address; without meaning unless [`Event::TRANSLATED`].
    pub new_src: [u32; 4],
    /// What becomes of the destination address.
    pub new_dst: [u32; 4],
    /// Source port, or what a [`FlowKey`](crate::FlowKey) has in its place.
    pub sport: crate::Be16,
    /// Destination port.
    pub dport: crate::Be16,
    /// What becomes of the source port.
    pub new_sport: crate::Be16,
    /// What becomes of the destination port.
    pub new_dport: crate::Be16,
    /// The interface it came to.
    pub ifindex: u32,
    /// Its length, Ethernet header included.
    pub bytes: u32,
    /// The rule of a policy that decided; zero as long as there are no policies, and where none did.
    pub rule: u32,
    /// A [`Hook`](crate::Hook) as a number: an older reader may not know it.
    pub hook: u8,
    /// A [`Reason`](crate::Reason) as a number.
    pub reason: u8,
    /// `AF_INET` or `AF_INET6`; zero where no addresses could be read: everything above them is zero then.
    pub family: u8,
    /// IP protocol number.
    pub protocol: u8,
    /// The flags of TCP.
    pub control: u8,
    /// [`Event::TRANSLATED`].
    pub flags: u8,
    #[doc(hidden)]
    pub _pad16: u16,
    #[doc(hidden)]
    pub _pad32: u32,
}

impl Event {
    /// The packet gets other addresses or ports.
    pub const TRANSLATED: u8 = 1 << 0;
    /// In [`Event::family`].
    pub const IPV4: u8 = 2;
    /// In [`Event::family`].
    pub const IPV6: u8 = 10;
}

/// Value of `EVENTS_STATE`, one per CPU: how many events may be told at once, and how many were not.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventState {
    /// Events that were more than are told in a second.
    pub suppressed: u64,
    /// Events that found the buffer full.
    pub lost: u64,
    /// What is left to be told, in units that an event takes many of.
    pub credit: u64,
    /// The jiffy in which that was last reckoned.
    pub stamp: u32,
    #[doc(hidden)]
    pub _pad: u32,
}

const _: () = assert!(size_of::<Event>() == 104 && align_of::<Event>() == 8);
const _: () = assert!(size_of::<EventState>() == 32 && align_of::<EventState>() == 8);
const _: () = assert!(crate::Reason::ALL.len() <= 64, "the mask of reasons that are told has a bit for each");
