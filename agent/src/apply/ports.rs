//! Whether the ports that are lent to pods' flows are nobody else's.

use std::{fs, io, ops::RangeInclusive};

use crate::PortRange;

/// What the kernel picks from for a socket that does not care.
const LOCAL: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// What it does not pick nevertheless.
const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";

/// Warns if the kernel may give ports of the range to sockets of the node: an answer to such a socket might be taken for
/// one to a pod.
pub fn warn_of_overlap(range: &PortRange) {
    match read_overlap(range) {
        Ok(None) => {}
        Ok(Some(port)) => log::warn!(
            "--masquerade-ports {range}: the kernel may give port {port} to a socket of this node as well; choose ports \
             outside of net.ipv4.ip_local_port_range, or run `sysctl net.ipv4.ip_local_reserved_ports={range}`"
        ),
        Err(error) => log::warn!("cannot tell whether --masquerade-ports {range} are free: {error}"),
    }
}

fn read_overlap(range: &PortRange) -> io::Result<Option<u16>> {
    Ok(overlap(range, &fs::read_to_string(LOCAL)?, &fs::read_to_string(RESERVED)?))
}

/// The first port of the range that the kernel may give out.
fn overlap(range: &PortRange, local: &str, reserved: &str) -> Option<u16> {
    let mut ends = local.split_whitespace().map_while(|port| port.parse::<u16>().ok());
    let local = ends.next()?..=ends.next()?;
    let reserved: Vec<RangeInclusive<u16>> = reserved.trim().split(',').filter_map(ports).collect();
    range.ports().find(|port| local.contains(port) && !reserved.iter().any(|ports| ports.contains(port)))
}

/// A port, or a range of them.
fn ports(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_the_kernels_to_give_out_unless_they_are_reserved() {
        let overlap = |range: &str, reserved| overlap(&range.parse().unwrap(), "32768\t60999\n", reserved);
        assert_eq!(overlap(PortRange::DEFAULT, "\n"), None);
        assert_eq!(overlap("61000-65535", "\n"), None);
        assert_eq!(overlap("32000-33000", "\n"), Some(32_768));
        assert_eq!(overlap("40000-40009", "8080,40000-40009\n"), None);
        assert_eq!(overlap("40000-40009", "40000-40004,40006-40009,50000\n"), Some(40_005));
    }
}
