//! `caracalctl monitor`.

use std::{
    io::{self, ErrorKind, Write as _},
    net::IpAddr,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, bail};
use caracal_abi::{Disposition, Event, FlowKey};
use caracal_datapath::{
    Root,
    events::{Missed, Reader, beginning_of_time},
};

use crate::options::{Format, Monitor, Options};

mod line;
mod time;

use line::Line;

/// How often it is looked whether events were missed, and whether the programs still tell by this buffer.
const LOOK: Duration = Duration::from_secs(1);

/// Prints events until it is ended, or has printed as many as were asked for.
pub fn run(options: &Options, which: &Monitor, root: &Root) -> anyhow::Result<()> {
    super::pinned(root)?;
    let mut reader = open(root)?;
    if !which.buffered {
        // Of the past. An error in one is an error in those to come.
        reader.buffered().for_each(drop);
    }
    let (mut left, mut looked) = (which.count, Instant::now());
    while left != Some(0) {
        let event = reader.next(LOOK)?;
        if looked.elapsed() >= LOOK {
            report(reader.missed()?);
            looked = Instant::now();
        }
        let Some(event) = event else {
            if !reader.is_current() {
                // Its lock goes with it.
                drop(reader);
                reader = open(root)?;
            }
            continue;
        };
        if !is_wanted(which, &event) {
            continue;
        }
        let time = beginning_of_time()? + Duration::from_nanos(event.time_ns);
        if !print(options.output, time, &event)? {
            return Ok(());
        }
        left = left.map(|left| left - 1);
    }
    report(reader.missed()?);
    Ok(())
}

fn open(root: &Root) -> anyhow::Result<Reader> {
    match Reader::open(root)? {
        Some(reader) => Ok(reader),
        None => bail!(
            "the programs of this node tell of no packets; start caracal-agent with --events=drops, --events=first or \
             --events=all (pods go on talking meanwhile), or see `caracalctl counters`"
        ),
    }
}

/// False if nobody listens any more.
fn print(format: Format, time: SystemTime, event: &Event) -> anyhow::Result<bool> {
    let line = Line::new(time, event);
    let text = match format {
        Format::Table => line.to_string(),
        Format::Json => serde_json::to_string(&line)?,
    };
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true).context("cannot print"),
    }
}

/// On standard error, where it is in no script's way.
fn report(Missed { suppressed, lost }: Missed) {
    if suppressed > 0 {
        eprintln!("{suppressed} more, not told: --events-per-second of the agent");
    }
    if lost > 0 {
        eprintln!("{lost} more, for which there was no room: --events-buffer of the agent");
    }
}

fn is_wanted(which: &Monitor, event: &Event) -> bool {
    let reason = event.reason();
    let is_drop = reason.is_some_and(|reason| reason.disposition() == Disposition::Dropped);
    let is_of = |ip: IpAddr| {
        let keys = [event.tuple(), event.translated()];
        keys.into_iter().flatten().any(|FlowKey { src, dst, .. }| src == ip || dst == ip)
    };
    (which.reasons.is_empty() || reason.is_some_and(|reason| which.reasons.contains(&reason)))
        && (!which.drops || is_drop)
        && which.address.is_none_or(is_of)
}

#[cfg(test)]
mod tests {
    use caracal_abi::{Ip4, Reason};

    use super::*;

    fn wanted(which: &Monitor) -> Vec<Reason> {
        let memory = |text: &str| [Ip4::from(text.parse::<std::net::Ipv4Addr>().unwrap()).memory(), 0, 0, 0];
        let [a, b, node] = ["10.0.0.1", "10.0.0.2", "192.0.2.1"].map(memory);
        let translated = Event { flags: Event::TRANSLATED, new_src: node, new_dst: b, ..Event::default() };
        let events = [
            Event { family: Event::IPV4, src: a, dst: b, reason: Reason::NewFlow as u8, ..translated },
            Event { family: Event::IPV4, src: b, dst: b, reason: Reason::SpoofedMac as u8, ..Event::default() },
            Event { reason: Reason::Malformed as u8, ..Event::default() },
        ];
        events.iter().filter(|event| is_wanted(which, event)).filter_map(Event::reason).collect()
    }

    #[test]
    fn what_is_not_asked_for_is_left_out() {
        let all = || Monitor { reasons: Vec::new(), address: None, drops: false, count: None, buffered: false };
        let ip = |text: &str| Some(text.parse().unwrap());
        assert_eq!(wanted(&all()), [Reason::NewFlow, Reason::SpoofedMac, Reason::Malformed]);
        assert_eq!(wanted(&Monitor { drops: true, ..all() }), [Reason::SpoofedMac, Reason::Malformed]);
        let reasons = vec![Reason::Malformed, Reason::NewFlow];
        assert_eq!(wanted(&Monitor { reasons, ..all() }), [Reason::NewFlow, Reason::Malformed]);
        assert_eq!(wanted(&Monitor { address: ip("10.0.0.1"), ..all() }), [Reason::NewFlow]);
        assert_eq!(wanted(&Monitor { address: ip("192.0.2.1"), ..all() }), [Reason::NewFlow]);
        assert_eq!(wanted(&Monitor { address: ip("10.0.0.2"), drops: true, ..all() }), [Reason::SpoofedMac]);
    }
}
