//! For how long a flow may be silent before it is forgotten. The names and the defaults are the kernel's (`nf_conntrack_*`).

use caracal_abi::{Flow, Via};

use super::State;
use crate::control::{ACK, FIN, RST, SYN};

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;

/// What is measured against a time of its own.
#[repr(usize)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timeout {
    /// A connection was asked for.
    TcpSynSent,
    /// The answer came, and was not confirmed.
    TcpSynRecv,
    /// Both sides talk.
    TcpEstablished,
    /// One side talks in a connection whose beginning was not seen.
    TcpUnacknowledged,
    /// One side has said all it will.
    TcpFinWait,
    /// Both have.
    TcpTimeWait,
    /// One has ended it at once, or it is to be ended so.
    TcpClose,
    /// A question, or a question and its answer.
    Udp,
    /// More than that.
    UdpStream,
    /// An echo.
    Icmp,
    /// An association was asked for.
    SctpCookieWait,
    /// The answer came, and was not confirmed.
    SctpCookieEchoed,
    /// Both sides talk.
    SctpEstablished,
    /// One side talks in an association whose beginning was not seen, perhaps by another of its paths.
    SctpHeartbeatSent,
    /// It is being shut down, or is.
    SctpShutdown,
    /// One side has ended it at once.
    SctpClosed,
    /// Any other protocol.
    Generic,
}

impl Timeout {
    /// Every one, in the order of their numbers.
    pub const ALL: [Self; 17] = [
        Self::TcpSynSent,
        Self::TcpSynRecv,
        Self::TcpEstablished,
        Self::TcpUnacknowledged,
        Self::TcpFinWait,
        Self::TcpTimeWait,
        Self::TcpClose,
        Self::Udp,
        Self::UdpStream,
        Self::Icmp,
        Self::SctpCookieWait,
        Self::SctpCookieEchoed,
        Self::SctpEstablished,
        Self::SctpHeartbeatSent,
        Self::SctpShutdown,
        Self::SctpClosed,
        Self::Generic,
    ];

    /// As options and figures call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TcpSynSent => "tcp-syn-sent",
            Self::TcpSynRecv => "tcp-syn-recv",
            Self::TcpEstablished => "tcp-established",
            Self::TcpUnacknowledged => "tcp-unacknowledged",
            Self::TcpFinWait => "tcp-fin-wait",
            Self::TcpTimeWait => "tcp-time-wait",
            Self::TcpClose => "tcp-close",
            Self::Udp => "udp",
            Self::UdpStream => "udp-stream",
            Self::Icmp => "icmp",
            Self::SctpCookieWait => "sctp-cookie-wait",
            Self::SctpCookieEchoed => "sctp-cookie-echoed",
            Self::SctpEstablished => "sctp-established",
            Self::SctpHeartbeatSent => "sctp-heartbeat-sent",
            Self::SctpShutdown => "sctp-shutdown",
            Self::SctpClosed => "sctp-closed",
            Self::Generic => "generic",
        }
    }

    /// The kernel's, in seconds.
    #[must_use]
    pub const fn default_seconds(self) -> u32 {
        match self {
            Self::TcpEstablished => 432_000,
            Self::TcpSynSent | Self::TcpFinWait | Self::TcpTimeWait | Self::UdpStream => 120,
            Self::TcpSynRecv => 60,
            Self::TcpUnacknowledged => 300,
            Self::TcpClose | Self::SctpClosed => 10,
            Self::Udp | Self::Icmp | Self::SctpHeartbeatSent => 30,
            Self::SctpCookieWait | Self::SctpCookieEchoed | Self::SctpShutdown => 3,
            Self::SctpEstablished => 210,
            Self::Generic => 600,
        }
    }

    /// Whether nobody would miss the flow much: its end was seen, or one side alone wants it so far.
    #[must_use]
    pub const fn is_expendable(self) -> bool {
        !matches!(self, Self::TcpEstablished | Self::UdpStream | Self::SctpEstablished | Self::Icmp | Self::Generic)
    }

    /// The one that counts for a flow, from both directions.
    #[must_use]
    pub const fn of<A>(protocol: u8, one: &Flow<A>, other: &Flow<A>) -> Self {
        let state = State::of(one, other);
        let is_half_open = is_unconfirmed(one) || is_unconfirmed(other);
        let is_begun = (one.seen | other.seen) & SYN != 0;
        let is_stream = one.packets > 0 && other.packets > 0 && (one.packets > 1 || other.packets > 1);
        match (protocol, state) {
            (TCP, State::Unanswered) if is_begun => Self::TcpSynSent,
            (TCP, State::Unanswered) => Self::TcpUnacknowledged,
            (TCP, State::Established) if is_half_open => Self::TcpSynRecv,
            (TCP, State::Established) => Self::TcpEstablished,
            (TCP, State::Closing) => Self::TcpFinWait,
            (TCP, State::Closed) => Self::TcpTimeWait,
            (TCP, State::Reset) => Self::TcpClose,
            (SCTP, State::Unanswered) if is_begun => Self::SctpCookieWait,
            (SCTP, State::Unanswered) => Self::SctpHeartbeatSent,
            (SCTP, State::Established) if is_half_open => Self::SctpCookieEchoed,
            (SCTP, State::Established) => Self::SctpEstablished,
            (SCTP, State::Closing | State::Closed) => Self::SctpShutdown,
            (SCTP, State::Reset) => Self::SctpClosed,
            (UDP, _) if is_stream => Self::UdpStream,
            (UDP, _) => Self::Udp,
            (ICMP | ICMPV6, _) => Self::Icmp,
            _ => Self::Generic,
        }
    }

    /// Which can count for a flow of which only one direction is known, as long as the other has said nothing that shortens its
    /// life: that is for the other to show. `None` where this direction alone shows nothing: it has seen no packet.
    ///
    /// Of the two directions of a flow whose time is up, at least one says so here. So who looks for such flows may pass over
    /// a direction that does not, without looking for the other.
    #[must_use]
    pub const fn hint<A>(protocol: u8, flow: &Flow<A>) -> Option<[Self; 3]> {
        if flow.packets == 0 {
            return None;
        }
        let is_reset = flow.seen & RST != 0 || flow.via == Via::Reset as u8;
        let (is_finished, is_half_open) = (flow.seen & FIN != 0, is_unconfirmed(flow));
        // A way by the host may have no other direction here.
        let by_host = flow.via == Via::Host as u8;
        Some(match protocol {
            TCP if is_reset => [Self::TcpClose; 3],
            TCP if is_finished => [Self::TcpFinWait, Self::TcpTimeWait, Self::TcpTimeWait],
            TCP if is_half_open => [Self::TcpSynSent, Self::TcpSynRecv, Self::TcpSynRecv],
            TCP if by_host => [Self::TcpSynSent, Self::TcpUnacknowledged, Self::TcpEstablished],
            TCP => [Self::TcpEstablished; 3],
            SCTP if is_reset => [Self::SctpClosed; 3],
            SCTP if is_finished => [Self::SctpShutdown; 3],
            SCTP if is_half_open => [Self::SctpCookieWait, Self::SctpCookieEchoed, Self::SctpCookieEchoed],
            SCTP if by_host => [Self::SctpCookieWait, Self::SctpHeartbeatSent, Self::SctpEstablished],
            SCTP => [Self::SctpEstablished; 3],
            UDP if flow.packets == 1 || by_host => [Self::Udp, Self::UdpStream, Self::UdpStream],
            UDP => [Self::UdpStream; 3],
            ICMP | ICMPV6 => [Self::Icmp; 3],
            _ => [Self::Generic; 3],
        })
    }
}

/// Whether a direction has asked for a connection, and not confirmed that it got it.
const fn is_unconfirmed<A>(flow: &Flow<A>) -> bool {
    flow.seen & (SYN | ACK) == SYN
}

/// A time for each [`Timeout`], in whichever unit its owner counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts([u32; Timeout::ALL.len()]);

impl Default for Timeouts {
    /// The kernel's, in seconds.
    fn default() -> Self {
        Self(Timeout::ALL.map(Timeout::default_seconds))
    }
}

impl Timeouts {
    /// One of them.
    #[must_use]
    pub const fn get(&self, timeout: Timeout) -> u32 {
        self.0[timeout as usize]
    }

    /// With one of them changed.
    #[must_use]
    pub const fn with(mut self, timeout: Timeout, value: u32) -> Self {
        self.0[timeout as usize] = value;
        self
    }

    /// Each of them changed.
    #[must_use]
    pub fn map(self, change: impl Fn(Timeout, u32) -> u32) -> Self {
        Self(Timeout::ALL.map(|timeout| change(timeout, self.get(timeout))))
    }

    /// Whether a flow that has been silent for so long may be over, as far as one of its directions shows
    /// ([`Timeout::hint`]).
    #[must_use]
    pub fn may_be_over<A>(&self, protocol: u8, flow: &Flow<A>, idle: u32) -> bool {
        Timeout::hint(protocol, flow).is_none_or(|hint| hint.iter().any(|timeout| idle > self.get(*timeout)))
    }
}

#[cfg(test)]
mod tests;
