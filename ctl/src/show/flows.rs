//! `caracalctl flows`.

use std::net::IpAddr;

use caracal_abi::{Flow, FlowKey, Translation, Via};
use caracal_datapath::{Clock, Pinned};
use serde::Serialize;

use crate::{
    options::{Flows, Options},
    output::{Row, print},
};

#[derive(Serialize)]
struct Line {
    protocol: String,
    source: IpAddr,
    source_port: u16,
    destination: IpAddr,
    destination_port: u16,
    translated_to: Option<String>,
    in_ifindex: u32,
    out_ifindex: u32,
    via: &'static str,
    packets: u64,
    bytes: u64,
    idle_s: u64,
}

impl Row for Line {
    const TITLES: &'static [&'static str] =
        &["PROTO", "SOURCE", "DESTINATION", "BECOMES", "IN", "OUT", "VIA", "PACKETS", "BYTES", "IDLE"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.protocol.clone(),
            end(self.source, self.source_port),
            end(self.destination, self.destination_port),
            self.translated_to.clone().unwrap_or_default(),
            self.in_ifindex.to_string(),
            self.out_ifindex.to_string(),
            self.via.to_owned(),
            self.packets.to_string(),
            self.bytes.to_string(),
            format!("{}s", self.idle_s),
        ]
    }
}

pub fn show(options: &Options, which: &Flows, pinned: &Pinned) -> anyhow::Result<()> {
    let clock = Clock::open()?;
    let now = clock.now()?;
    let idle = |flow: u32| (clock.tick() * Clock::since(now, flow)).as_secs();
    let v4 = pinned.flows4()?.entries()?.into_iter().map(|(key, flow)| line(&key, &flow, idle(flow.last_seen)));
    let v6 = pinned.flows6()?.entries()?.into_iter().map(|(key, flow)| line(&key, &flow, idle(flow.last_seen)));
    let wanted = |line: &Line| which.address.is_none_or(|ip| line.source == ip || line.destination == ip);
    let mut lines: Vec<Line> = v4.chain(v6).filter(wanted).collect();
    lines.sort_by_key(|line| (line.source, line.source_port, line.destination, line.destination_port));
    print(&lines, options.output, "no flow has been decided yet")
}

fn line<A: Copy + Into<IpAddr>>(key: &FlowKey<A>, flow: &Flow<A>, idle_s: u64) -> Line {
    Line {
        protocol: protocol(key.protocol),
        source: key.src.into(),
        source_port: key.sport.get(),
        destination: key.dst.into(),
        destination_port: key.dport.get(),
        translated_to: (flow.flags & Flow::<A>::TRANSLATED != 0).then(|| {
            let Translation { src, dst, sport, dport, .. } = flow.translation;
            format!("{} → {}", end(src.into(), sport.get()), end(dst.into(), dport.get()))
        }),
        in_ifindex: flow.in_ifindex,
        out_ifindex: flow.out_ifindex,
        via: match flow.via() {
            Some(Via::Peer) => "peer",
            Some(Via::Egress) => "egress",
            Some(Via::Host) => "host",
            Some(Via::Neighbour) => "neighbour",
            Some(Via::Discard) => "discard",
            Some(Via::Reset) => "reset",
            None => "?",
        },
        packets: flow.packets,
        bytes: flow.bytes,
        idle_s,
    }
}

pub(super) fn protocol(number: u8) -> String {
    match number {
        1 => "icmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        58 => "icmpv6".to_owned(),
        132 => "sctp".to_owned(),
        other => other.to_string(),
    }
}

pub(super) fn end(ip: IpAddr, port: u16) -> String {
    match (ip, port) {
        (ip, 0) => ip.to_string(),
        (IpAddr::V4(ip), port) => format!("{ip}:{port}"),
        (IpAddr::V6(ip), port) => format!("[{ip}]:{port}"),
    }
}
