//! The node that most fixtures play on: two pods, a NIC, a default route, and somebody outside.

use std::net::IpAddr;

use caracal_datapath::{Features, Loader};
use caracal_harness::{Nic, Plane, Pod, isolated};

/// The MAC address of the router behind the stage's NIC.
pub const GATEWAY_MAC: [u8; 6] = [2, 0, 0, 0, 9, 9];

/// The clock of the programs stands still on stage, or the first packet after a tick would differ from the others.
const STILL: u8 = 31;

/// A node with its cast, in one address family. Everything has an interface that packets can come from.
pub struct Stage<'a> {
    /// The node.
    pub plane: &'a Plane,
    /// Its NIC, which has addresses of both families.
    pub eth0: Nic,
    /// The node's address.
    pub node: IpAddr,
    /// A pod.
    pub a: Pod,
    /// Another one.
    pub b: Pod,
    /// Somebody behind the NIC: what it sends has the router's MAC address and is for the NIC's.
    pub outside: Pod,
}

impl Stage<'_> {
    /// Plays once in each family, on a host that translates nothing. The node is the same: its counters go on counting.
    pub fn each_family(body: impl Fn(&Stage<'_>) + Sync) {
        Self::each_family_with(|loader| loader, body);
    }

    /// The same, with programs that are loaded in a special way.
    pub fn each_family_with(how: impl Fn(Loader) -> Loader + Sync, body: impl Fn(&Stage<'_>) + Sync) {
        isolated(|root| {
            let loader = Loader { host_nat: false, tick_shift: Some(STILL), ..Loader::new(Features::probe()) };
            let plane = Plane::with(root, &how(loader));
            let eth0 = Nic::new(0).address("192.0.2.1/24").address("2001:db8::1/64");
            plane.wire_nics(&[&eth0]);
            for gateway in ["192.0.2.254", "2001:db8::fe"] {
                plane.net().gateway(&eth0, gateway, GATEWAY_MAC);
            }
            let v4 = ["10.0.0.1", "10.0.0.2", "198.51.100.7"];
            let v6 = ["fd00::1", "fd00::2", "2001:db8:ffff::7"];
            for (number, [a, b, outside]) in [(1, v4), (3, v6)] {
                let [a, b] = [Pod::numbered(a, number), Pod::numbered(b, number + 1)];
                plane.wire(&a);
                plane.wire(&b);
                let outside = Pod { mac: GATEWAY_MAC, gateway: eth0.mac, ..Pod::new(outside, 9, 0) };
                body(&Stage { plane: &plane, eth0: eth0.clone(), node: eth0.ip(a.ip), a, b, outside });
            }
        });
    }
}
