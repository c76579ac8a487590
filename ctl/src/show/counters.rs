//! `caracalctl counters`.

use caracal_abi::Disposition;
use caracal_datapath::{Root, counters};
use serde::Serialize;

use crate::{
    options::{Counters, Options},
    output::{Row, print},
};

#[derive(Serialize)]
struct Line {
    hook: &'static str,
    reason: &'static str,
    what: &'static str,
    packets: u64,
    bytes: u64,
    meaning: &'static str,
}

impl Row for Line {
    const TITLES: &'static [&'static str] = &["HOOK", "REASON", "WHAT", "PACKETS", "BYTES", "MEANING"];

    fn cells(&self) -> Vec<String> {
        let Self { hook, reason, what, packets, bytes, meaning } = self;
        vec![
            (*hook).into(),
            (*reason).into(),
            (*what).into(),
            packets.to_string(),
            bytes.to_string(),
            (*meaning).into(),
        ]
    }
}

pub fn show(options: &Options, which: &Counters, root: &Root) -> anyhow::Result<()> {
    let counts = super::pinned(root).and_then(|_| Ok(counters::read(root)?))?;
    let shown = counts.iter().filter(|count| which.all || count.total.packets > 0);
    let lines: Vec<Line> = shown
        .map(|count| Line {
            hook: count.hook.name(),
            reason: count.reason.name(),
            what: what(count.reason.disposition()),
            packets: count.total.packets,
            bytes: count.total.bytes,
            meaning: count.reason.meaning(),
        })
        .collect();
    print(&lines, options.output, "no packet has been counted yet")
}

pub(super) fn what(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::Forwarded => "forwarded",
        Disposition::Answered => "answered",
        Disposition::Host => "host",
        Disposition::Dropped => "dropped",
        Disposition::Noted => "noted",
    }
}
