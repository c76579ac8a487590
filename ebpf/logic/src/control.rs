//! Flags that open and end connections: TCP's own, and for SCTP those that mean the same.

/// The sender has said all it will.
pub const FIN: u8 = 0x01;
/// Opens a connection; with [`ACK`], answers such a packet.
pub const SYN: u8 = 0x02;
/// Ends a connection at once.
pub const RST: u8 = 0x04;
/// Answers something.
pub const ACK: u8 = 0x10;

/// Whether a packet opens a connection.
#[inline(always)]
#[must_use]
pub const fn opens(control: u8) -> bool {
    control & (SYN | ACK) == SYN
}

/// What an SCTP packet that begins with a chunk of this type is to its association.
#[inline(always)]
#[must_use]
pub const fn of_chunk(chunk_type: u8) -> u8 {
    const INIT: u8 = 1;
    const INIT_ACK: u8 = 2;
    const ABORT: u8 = 6;
    const SHUTDOWN: u8 = 7;
    const SHUTDOWN_ACK: u8 = 8;
    const SHUTDOWN_COMPLETE: u8 = 14;

    match chunk_type {
        INIT => SYN,
        INIT_ACK => SYN | ACK,
        ABORT => RST,
        SHUTDOWN | SHUTDOWN_ACK | SHUTDOWN_COMPLETE => FIN | ACK,
        _ => ACK,
    }
}
