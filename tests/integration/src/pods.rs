//! Pods of TEST_RUN fixtures.

use std::net::IpAddr;

use caracal_harness::Pod;

/// Two pods of one node for each address family: the first sits behind the interface that TEST_RUN says packets come
/// from, the second behind one that does not exist, which no fixture needs to.
#[must_use]
pub fn pairs(ifindex: u32) -> [(Pod, Pod); 2] {
    [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")]
        .map(|(from, to)| (Pod::new(from, 1, ifindex), Pod::new(to, 2, 4711)))
}

/// An address of the same family that no pod has.
#[must_use]
pub fn stranger(of: &Pod) -> IpAddr {
    let text = if of.ip.is_ipv4() { "198.51.100.7" } else { "2001:db8::7" };
    text.parse().unwrap_or(of.ip)
}
