//! What became of a packet: one list for the programs that count and the people who read.

/// Value of `COUNTERS`, one per CPU and slot.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// Packets.
    pub packets: u64,
    /// Bytes, Ethernet headers included.
    pub bytes: u64,
}

const _: () = assert!(size_of::<Counter>() == 16 && align_of::<Counter>() == 8);

/// Writes an enum whose variants are numbered from zero, with its names and meanings, once.
macro_rules! catalogue {
    ($(#[$meta:meta])* $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $text:literal $(, $extra:expr)?;)+ }) => {
        $(#[$meta])*
        #[repr(u8)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[doc = $doc])+ $variant,)+ }

        impl $name {
            /// Every variant, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Short name for tables, metrics and scripts.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// What it means, for people.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc,)+).trim_ascii(),)+ }
            }
        }
    };
}

catalogue! {
    /// Where a program sits.
    Hook {
        /// tcx ingress of a pod's host-side veth.
        FromPod = "from_pod";
        /// tcx ingress of a NIC.
        FromNet = "from_net";
    }
}

catalogue! {
    /// Why a packet went the way it went.
    Reason {
        /// First packet of a flow from or to a pod of this node.
        NewFlow = "new_flow";
        /// Forwarded to a pod of this node without a flow entry: a fragment or an ICMP error.
        Stateless = "stateless";
        /// An ICMP error about a packet of a known flow, sent to the one who sent that packet.
        Related = "related";
        /// An ICMP error about a packet of no flow that is known.
        Unrelated = "unrelated";
        /// To a pod of this node by the host's stack, which may be translating: a flow's first packet, or a reply.
        ViaHost = "via_host";
        /// First packet of a flow to a service: it goes to a pod from now on.
        Service = "service";
        /// TTL or hop limit used up, and translated here: the sender was told.
        TtlAnswered = "ttl_answered";
        /// Longer than the way out takes, and translated here: the sender was told.
        TooBig = "too_big";
        /// Of a connection that was cut: the sender was told.
        Reset = "reset";
        /// To a service, but the address and port it would be sent from are in use towards the same pod.
        PortClash = "port_clash";
        /// No pod of this node: left to the host's routing.
        ToHost = "to_host";
        /// ARP and neighbour discovery, left to the host.
        Neighbour = "neighbour";
        /// TTL or hop limit used up: left to the host, which answers with an ICMP error.
        TtlExpired = "ttl_expired";
        /// The source address does not belong to the interface the packet came from.
        SpoofedAddress = "spoofed_address";
        /// The Ethernet source is not the pod's.
        SpoofedMac = "spoofed_mac";
        /// Neither IPv4, IPv6 nor ARP, or a VLAN tag that no pod may set.
        UnknownEtherType = "unknown_ethertype";
        /// Headers cut short or contradicting themselves.
        Malformed = "malformed";
        /// A part of the programs is not loaded: restart the agent.
        NoProgram = "no_program";
        /// The host's routes lead nowhere: a black hole, or nothing for a packet whose addresses are translated.
        NoRoute = "no_route";
        /// From an address that the host has no route to, or not by this NIC.
        ReversePath = "reverse_path";
        /// To be masqueraded, but the NIC it leaves by has no address of its family.
        NoSource = "no_source";
        /// To be masqueraded, but every port is lent towards the same remote address and port.
        NoPort = "no_port";
        /// A fragment that came before the first of its datagram, which says where they go: kept until that comes.
        FragmentHeld = "fragment_held";
        /// A fragment that came before the first of its datagram, and is longer than what is kept.
        FragmentTooLong = "fragment_too_long";
        /// A fragment that came before the first of its datagram, after as many others as are kept.
        FragmentTooMany = "fragment_too_many";
        /// A fragment whose datagram's first was dropped, whose flow is forgotten, or that is too long for its way.
        FragmentRefused = "fragment_refused";
        /// The flow table had no room; the packet went on, but its flow is decided anew each time.
        FlowTableFull = "flow_table_full";
    }
}

/// What happened to the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Sent on by a program.
    Forwarded,
    /// Answered to its sender, and gone no further.
    Answered,
    /// Given to the host's network stack.
    Host,
    /// Dropped.
    Dropped,
    /// A side remark about a packet that is counted under another reason as well.
    Noted,
}

impl Reason {
    /// What happens to packets counted under this reason.
    #[must_use]
    pub const fn disposition(self) -> Disposition {
        match self {
            Self::NewFlow | Self::Stateless | Self::Service | Self::Related => Disposition::Forwarded,
            Self::TtlAnswered | Self::TooBig | Self::Reset => Disposition::Answered,
            Self::ViaHost | Self::ToHost | Self::Neighbour | Self::TtlExpired => Disposition::Host,
            Self::SpoofedAddress
            | Self::SpoofedMac
            | Self::UnknownEtherType
            | Self::Malformed
            | Self::PortClash
            | Self::Unrelated
            | Self::NoProgram
            | Self::NoRoute
            | Self::ReversePath
            | Self::NoSource
            | Self::NoPort
            | Self::FragmentTooLong
            | Self::FragmentTooMany
            | Self::FragmentRefused => Disposition::Dropped,
            Self::FlowTableFull | Self::FragmentHeld => Disposition::Noted,
        }
    }
}

/// Slots of `COUNTERS`.
#[expect(clippy::cast_possible_truncation, reason = "a few dozen")]
pub const COUNTER_SLOTS: u32 = (Hook::ALL.len() * Reason::ALL.len()) as u32;

/// Index into `COUNTERS`.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "a few dozen")]
#[must_use]
pub const fn counter_slot(hook: Hook, reason: Reason) -> u32 {
    hook as u32 * Reason::ALL.len() as u32 + reason as u32
}
