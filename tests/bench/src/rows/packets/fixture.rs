//! A node with two pods of each family and a NIC, as far as packets can tell.

use std::net::IpAddr;

use caracal_abi::program;
use caracal_datapath::{Features, Loader, Root, counters};
use caracal_harness::{Frame, Nic, Plane, Pod};

use crate::test_run;

/// Room for both directions of all flows.
const FLOW_ENTRIES: u32 = 262_144;

/// The next hop of everything outside.
const GATEWAY_MAC: [u8; 6] = [2, 0, 0, 0, 4, 1];

/// A node.
pub struct Fixture {
    plane: Plane,
    families: [Sides; 2],
}

/// Where packets come from.
#[derive(Clone, Copy, Debug)]
pub struct Side {
    /// The program that sees them.
    pub program: &'static str,
    /// The interface they come in by.
    pub ifindex: u32,
    ip: IpAddr,
    /// From and to.
    mac: ([u8; 6], [u8; 6]),
}

/// All sides of a family.
#[derive(Clone, Copy, Debug)]
pub struct Sides {
    /// A pod.
    pub pod: Side,
    /// Another pod.
    pub other_pod: Side,
    /// Behind the NIC.
    pub outside: Side,
}

impl Side {
    fn pod(pod: &Pod) -> Self {
        let Pod { ip, mac, gateway, ifindex } = *pod;
        Self { program: program::FROM_POD, ifindex, ip, mac: (mac, gateway) }
    }

    /// What it sends to another side.
    pub fn frame(&self, to: &Self) -> Frame {
        Frame { mac: self.mac, ip: (self.ip, to.ip), ttl: 64 }
    }
}

impl Fixture {
    /// Makes it, in the network namespace of this thread.
    pub fn new(root: &Root) -> anyhow::Result<Self> {
        let loader = Loader { host_nat: false, flow_entries: Some(FLOW_ENTRIES), ..Loader::new(Features::probe()) };
        let plane = Plane::with(root, &loader);
        let nic = Nic::new(1).address("192.0.2.1/24").address("2001:db8::1/64");
        plane.wire_nics(&[&nic]);
        plane.net().gateway(&nic, "192.0.2.2", GATEWAY_MAC);
        plane.net().gateway(&nic, "2001:db8::2", GATEWAY_MAC);
        let sides = |[pod, other, outside]: [&str; 3], number| -> anyhow::Result<Sides> {
            let (pod, other) = (Pod::numbered(pod, number), Pod::numbered(other, number + 1));
            plane.wire(&pod);
            plane.wire(&other);
            let mac = (GATEWAY_MAC, nic.mac);
            let outside = Side { program: program::FROM_NET, ifindex: nic.ifindex, ip: outside.parse()?, mac };
            Ok(Sides { pod: Side::pod(&pod), other_pod: Side::pod(&other), outside })
        };
        let v4 = sides(["10.0.0.1", "10.0.0.2", "198.51.100.7"], 1)?;
        let v6 = sides(["fd00::1", "fd00::2", "2001:db8:7::7"], 3)?;
        Ok(Self { plane, families: [v4, v6] })
    }

    /// IPv4 and IPv6.
    pub fn families(&self) -> [Sides; 2] {
        self.families
    }

    /// What was loaded.
    pub fn plane(&self) -> &Plane {
        &self.plane
    }

    /// Lets a packet come from a side: what the program there does with it.
    pub fn send(&self, from: &Side, packet: &[u8]) -> anyhow::Result<i32> {
        Ok(test_run::run(self.plane.classifier(from.program), from.ifindex, packet, 1)?.answer)
    }

    /// Empties the flow tables.
    pub fn forget_flows(&self) -> anyhow::Result<()> {
        let (mut v4, mut v6) = (self.plane.pinned().flows4()?, self.plane.pinned().flows6()?);
        let keys: Vec<_> = v4.entries()?.into_iter().map(|(key, _)| key).collect();
        v4.remove_all(&keys)?;
        let keys: Vec<_> = v6.entries()?.into_iter().map(|(key, _)| key).collect();
        v6.remove_all(&keys)?;
        Ok(())
    }

    /// Flows that both sides want: each direction is one.
    pub fn established(&self) -> anyhow::Result<usize> {
        let pinned = self.plane.pinned();
        Ok(pinned.flows4()?.main.entries()?.len() + pinned.flows6()?.main.entries()?.len())
    }

    /// Packets that were counted under any reason, and how many under which.
    pub fn counted(&self) -> anyhow::Result<(u64, String)> {
        let counts = counters::read(self.plane.root())?;
        let some = counts.iter().filter(|count| count.total.packets > 0);
        let list = some.map(|count| format!("{} {} {}", count.hook.name(), count.reason.name(), count.total.packets));
        Ok((counts.iter().map(|count| count.total.packets).sum(), list.collect::<Vec<_>>().join(", ")))
    }
}
