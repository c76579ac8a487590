//! The classic pcap file format, version 2.4, in this machine's byte order and with nanoseconds.

use std::time::SystemTime;

use super::Packet;

const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
const VERSION: (u16, u16) = (2, 4);
const LINKTYPE_ETHERNET: u32 = 1;
const SNAP_LEN: u32 = 256 << 10;

/// A whole file with these packets.
pub(super) fn encode(packets: &[Packet]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(MAGIC_NANOSECONDS.to_ne_bytes());
    file.extend(VERSION.0.to_ne_bytes());
    file.extend(VERSION.1.to_ne_bytes());
    // Time zone and accuracy, which nobody uses.
    file.extend([0; 8]);
    file.extend(SNAP_LEN.to_ne_bytes());
    file.extend(LINKTYPE_ETHERNET.to_ne_bytes());
    for packet in packets {
        let since_epoch = packet.time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // The format has 32 bits for each: seconds until 2106, and packets that are never as long.
        let seconds = u32::try_from(since_epoch.as_secs()).unwrap_or(u32::MAX);
        let len = u32::try_from(packet.bytes.len()).unwrap_or(u32::MAX);
        for field in [seconds, since_epoch.subsec_nanos(), len, len] {
            file.extend(field.to_ne_bytes());
        }
        file.extend(&packet.bytes);
    }
    file
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_file_is_a_header_and_a_record_for_each_packet() {
        let time = SystemTime::UNIX_EPOCH + Duration::new(0x0102_0304, 5);
        let packet = Packet { time, outgoing: true, bytes: vec![0xaa, 0xbb, 0xcc] };
        let file = encode(&[packet.clone(), packet]);
        assert_eq!(file.len(), 24 + 2 * (16 + 3));
        assert_eq!(file[..4], 0xa1b2_3c4d_u32.to_ne_bytes());
        assert_eq!(file[20..24], 1_u32.to_ne_bytes(), "Ethernet");
        let record = &file[24..43];
        assert_eq!(record[..4], 0x0102_0304_u32.to_ne_bytes());
        assert_eq!(record[4..8], 5_u32.to_ne_bytes());
        assert_eq!(record[8..12], 3_u32.to_ne_bytes());
        assert_eq!(record[16..], [0xaa, 0xbb, 0xcc]);
    }
}
