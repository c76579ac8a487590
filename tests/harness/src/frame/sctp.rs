//! SCTP.

use super::Frame;
use crate::packet::crc32c;

const SCTP: u8 = 132;

impl Frame {
    /// An SCTP packet; what its chunks say nobody here asks.
    #[must_use]
    pub fn sctp(self, sport: u16, dport: u16, chunks: &[u8]) -> Vec<u8> {
        let mut message = [sport.to_be_bytes(), dport.to_be_bytes()].concat();
        message.extend([0, 0, 0, 1, 0, 0, 0, 0]);
        message.extend(chunks);
        let checksum = crc32c(&message);
        message[8..12].copy_from_slice(&checksum.to_le_bytes());
        self.protocol(SCTP, &message)
    }
}
