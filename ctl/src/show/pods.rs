//! `caracalctl pods`.

use std::net::IpAddr;

use caracal_datapath::Pinned;
use serde::Serialize;

use crate::{
    options::Options,
    output::{Row, print},
};

#[derive(Serialize)]
struct Line {
    address: IpAddr,
    ifindex: u32,
    pod_mac: String,
    host_mac: String,
}

impl Row for Line {
    const TITLES: &'static [&'static str] = &["ADDRESS", "IFINDEX", "POD MAC", "HOST MAC"];

    fn cells(&self) -> Vec<String> {
        let Self { address, ifindex, pod_mac, host_mac } = self;
        vec![address.to_string(), ifindex.to_string(), pod_mac.clone(), host_mac.clone()]
    }
}

pub fn show(options: &Options, pinned: &Pinned) -> anyhow::Result<()> {
    let mut lines: Vec<Line> = pinned
        .endpoints()?
        .into_iter()
        .map(|(address, endpoint)| Line {
            address,
            ifindex: endpoint.ifindex,
            pod_mac: endpoint.pod_mac.to_string(),
            host_mac: endpoint.host_mac.to_string(),
        })
        .collect();
    lines.sort_by_key(|line| (line.ifindex, line.address));
    print(&lines, options.output, "no pod is attached on this node")
}
