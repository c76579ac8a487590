//! `caracalctl ports`.

use std::net::IpAddr;

use caracal_datapath::Pinned;
use serde::Serialize;

use super::flows::{end, protocol};
use crate::{
    options::Options,
    output::{Row, print},
};

#[derive(Serialize)]
struct Line {
    protocol: String,
    /// None for every address of the node.
    host_ip: Option<IpAddr>,
    host_port: u16,
    pod_ip: IpAddr,
    pod_port: u16,
    ifindex: u32,
}

impl Row for Line {
    const TITLES: &'static [&'static str] = &["PROTO", "NODE", "POD", "IFINDEX"];

    fn cells(&self) -> Vec<String> {
        let node = self.host_ip.map_or_else(|| format!("any:{}", self.host_port), |ip| end(ip, self.host_port));
        vec![self.protocol.clone(), node, end(self.pod_ip, self.pod_port), self.ifindex.to_string()]
    }
}

pub fn show(options: &Options, pinned: &Pinned) -> anyhow::Result<()> {
    let mut mappings = pinned.mappings()?;
    mappings.sort_by_key(|(mapping, _)| (mapping.host_port, mapping.protocol, mapping.pod_ip));
    let lines: Vec<Line> = mappings
        .into_iter()
        .map(|(mapping, ifindex)| Line {
            protocol: protocol(mapping.protocol),
            host_ip: Some(mapping.host_ip).filter(|ip| !ip.is_unspecified()),
            host_port: mapping.host_port,
            pod_ip: mapping.pod_ip,
            pod_port: mapping.pod_port,
            ifindex,
        })
        .collect();
    print(&lines, options.output, "no port of this node leads to a pod")
}
