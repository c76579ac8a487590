//! The life of a flow: what its two directions have seen, how far it is, and how long it may be silent.
//!
//! Each direction keeps what its own packets said. Nobody writes the other's, so two CPUs never wait for each other; how far
//! the flow is follows from both.

use caracal_abi::{Flow, Via};

use crate::control::{ACK, FIN, RST, SYN, opens};

mod timeouts;

pub use timeouts::{Timeout, Timeouts};

/// What packets of a direction have said, one more included.
///
/// A reset may be forged or late: what goes on after one was not reset. Who opens a connection, or answers that, has not said
/// all it will: what it had ended before was another one.
#[inline(always)]
#[must_use]
pub const fn seen_after(seen: u8, control: u8) -> u8 {
    let void = match control & (SYN | RST) {
        0 => RST,
        SYN => RST | FIN,
        _ => 0,
    };
    (seen & !void) | control
}

/// Whether a packet says something that its flow must know, contradicts a reset, or may be the first after a handshake of
/// which this side has only asked: nearly none does.
#[inline(always)]
#[must_use]
pub const fn matters(seen: u8, control: u8) -> bool {
    (control & (FIN | SYN | RST)) | (seen & RST) != 0 || seen & (SYN | ACK) == SYN
}

/// Whether this packet shows that both sides want the flow, `other` being what the other direction has seen: then it belongs
/// into the table from which nobody is thrown out. A handshake that the one who began it has not confirmed shows nothing,
/// for the address it came from may be forged; and neither does a refusal.
#[inline(always)]
#[must_use]
pub const fn confirms<A>(control: u8, other: &Flow<A>) -> bool {
    control & (SYN | RST) == 0 && other.seen & RST == 0 && other.packets > 0
}

/// How far a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// One side has spoken.
    Unanswered,
    /// Both have.
    Established,
    /// One side of a connection has said all it will.
    Closing,
    /// Both have. A packet that opens a connection begins another flow.
    Closed,
    /// A connection was ended at once, or is to be.
    Reset,
}

impl State {
    /// As people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unanswered => "unanswered",
            Self::Established => "established",
            Self::Closing => "closing",
            Self::Closed => "closed",
            Self::Reset => "reset",
        }
    }

    /// From both directions.
    #[inline(always)]
    #[must_use]
    pub const fn of<A>(one: &Flow<A>, other: &Flow<A>) -> Self {
        const TO_BE_RESET: u8 = Via::Reset as u8;

        if (one.seen | other.seen) & RST != 0 || one.via == TO_BE_RESET || other.via == TO_BE_RESET {
            Self::Reset
        } else if one.seen & other.seen & FIN != 0 {
            Self::Closed
        } else if (one.seen | other.seen) & FIN != 0 {
            Self::Closing
        } else if one.packets > 0 && other.packets > 0 {
            Self::Established
        } else {
            Self::Unanswered
        }
    }

    /// Whether the next packet that opens a connection has nothing to do with this one.
    #[inline(always)]
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Closed | Self::Reset)
    }
}

/// Whether a packet begins a connection where one was before.
#[inline(always)]
#[must_use]
pub const fn reuses(control: u8, before: State) -> bool {
    opens(control) && before.is_over()
}
