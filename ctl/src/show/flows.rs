//! `caracalctl flows`.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use caracal_abi::{Flow, FlowKey, Translation, Via};
use caracal_datapath::{
    Clock, Pinned, Place,
    conntrack::{Given, State, Timeout, Timeouts},
};
use serde::Serialize;

use crate::{
    options::{Flows, FlowsAction, Options},
    output::{Row, print},
};

mod cut;

#[derive(Serialize)]
struct Line {
    protocol: String,
    state: &'static str,
    table: &'static str,
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
    /// None as long as no packet was seen in this direction.
    idle_s: Option<u64>,
    expires_in_s: u64,
}

impl Row for Line {
    const TITLES: &'static [&'static str] = &[
        "PROTO",
        "STATE",
        "TABLE",
        "SOURCE",
        "DESTINATION",
        "BECOMES",
        "IN",
        "OUT",
        "VIA",
        "PACKETS",
        "BYTES",
        "IDLE",
        "EXPIRES",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.protocol.clone(),
            self.state.to_owned(),
            self.table.to_owned(),
            end(self.source, self.source_port),
            end(self.destination, self.destination_port),
            self.translated_to.clone().unwrap_or_default(),
            self.in_ifindex.to_string(),
            self.out_ifindex.to_string(),
            self.via.to_owned(),
            self.packets.to_string(),
            self.bytes.to_string(),
            self.idle_s.map(|idle| format!("{idle}s")).unwrap_or_default(),
            format!("{}s", self.expires_in_s),
        ]
    }
}

pub fn run(options: &Options, which: &Flows, pinned: &Pinned) -> anyhow::Result<()> {
    match &which.action {
        Some(FlowsAction::Cut(cut)) => cut::cut(options, cut, pinned),
        None => show(options, which, pinned),
    }
}

fn show(options: &Options, which: &Flows, pinned: &Pinned) -> anyhow::Result<()> {
    let (clock, flows) = (Clock::open()?, Known::read(pinned)?);
    let times = Times { tick: clock.tick(), now: clock.now()?, timeouts: Given::among_defaults(&which.timeouts) };
    let wanted = |key: &FlowKey<IpAddr>| which.address.is_none_or(|ip| key.src == ip || key.dst == ip);
    let shown = flows.0.iter().filter(|(key, _)| wanted(key));
    let mut lines: Vec<Line> = shown.map(|(key, (place, flow))| line(*place, key, flow, &flows, &times)).collect();
    lines.sort_by_key(|line| (line.source, line.source_port, line.destination, line.destination_port));
    print(&lines, options.output, "no flow has been decided yet")
}

/// Every flow of both families, by the key of each direction.
struct Known(HashMap<FlowKey<IpAddr>, (Place, Flow<IpAddr>)>);

impl Known {
    fn read(pinned: &Pinned) -> anyhow::Result<Self> {
        fn of<A: Copy + Into<IpAddr>>(place: Place, key: &FlowKey<A>, flow: &Flow<A>) -> Entry {
            let FlowKey { src, dst, sport, dport, protocol, .. } = *key;
            (FlowKey::new(src.into(), dst.into(), sport, dport, protocol), (place, flow.map(Into::into)))
        }
        // Of what is moving over, the later is what counts.
        let v4 = pinned.flows4()?.placed()?.into_iter().map(|(place, (key, flow))| of(place, &key, &flow));
        let v6 = pinned.flows6()?.placed()?.into_iter().map(|(place, (key, flow))| of(place, &key, &flow));
        Ok(Self(v4.chain(v6).collect()))
    }
}

type Entry = (FlowKey<IpAddr>, (Place, Flow<IpAddr>));

/// What stamps are compared with.
struct Times {
    tick: Duration,
    now: u32,
    timeouts: Timeouts,
}

impl Times {
    fn idle_s(&self, last_seen: u32) -> u64 {
        (self.tick * Clock::since(self.now, last_seen)).as_secs()
    }
}

fn line(place: Place, key: &FlowKey<IpAddr>, flow: &Flow<IpAddr>, known: &Known, times: &Times) -> Line {
    let nobody = Flow { last_seen: 0, packets: 0, seen: 0, via: flow.via, ..*flow };
    let other = known.0.get(&flow.answer(key)).map_or(nobody, |(_, other)| *other);
    let limit = times.timeouts.get(Timeout::of(key.protocol, flow, &other));
    let silent_s = times.idle_s(flow.last_seen.max(other.last_seen));
    Line {
        protocol: protocol(key.protocol),
        state: State::of(flow, &other).name(),
        table: place.name(),
        source: key.src,
        source_port: key.sport.get(),
        destination: key.dst,
        destination_port: key.dport.get(),
        translated_to: flow.has(Flow::<IpAddr>::TRANSLATED).then(|| {
            let Translation { src, dst, sport, dport, .. } = flow.translation;
            format!("{} → {}", end(src, sport.get()), end(dst, dport.get()))
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
        idle_s: (flow.packets > 0).then(|| times.idle_s(flow.last_seen)),
        expires_in_s: u64::from(limit).saturating_sub(silent_s),
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
