//! One event as people and scripts read it.

use std::{fmt, net::IpAddr, time::SystemTime};

use caracal_abi::{Event, FlowKey};
use nix::net::if_::if_indextoname;
use serde::Serialize;

use super::{
    super::{
        counters::what,
        flows::{end, protocol},
    },
    time::rfc3339,
};

/// An event.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Line {
    time: String,
    what: &'static str,
    reason: String,
    hook: &'static str,
    ifindex: u32,
    /// None for an interface that is gone.
    interface: Option<String>,
    bytes: u32,
    #[serde(flatten)]
    packet: Option<Packet>,
}

/// What could be read of it.
#[derive(Debug, PartialEq, Serialize)]
struct Packet {
    protocol: String,
    source: IpAddr,
    source_port: u16,
    destination: IpAddr,
    destination_port: u16,
    flags: String,
    translated_to: Option<String>,
}

impl Line {
    pub(super) fn new(time: SystemTime, event: &Event) -> Self {
        // It has an empty name for numbers that no interface has.
        let interface = if_indextoname(event.ifindex).ok().filter(|name| !name.is_empty());
        Self {
            time: rfc3339(time),
            // Newer programs may have more.
            what: event.reason().map_or("?", |reason| what(reason.disposition())),
            reason: event.reason().map_or_else(|| event.reason.to_string(), |reason| reason.name().to_owned()),
            hook: event.hook().map_or("?", caracal_abi::Hook::name),
            ifindex: event.ifindex,
            interface: interface.map(|name| name.to_string_lossy().into_owned()),
            bytes: event.bytes,
            packet: Packet::new(event),
        }
    }
}

impl Packet {
    fn new(event: &Event) -> Option<Self> {
        let FlowKey { src, dst, sport, dport, .. } = event.tuple()?;
        Some(Self {
            protocol: protocol(event.protocol),
            source: src,
            source_port: sport.get(),
            destination: dst,
            destination_port: dport.get(),
            flags: flags(event),
            translated_to: event.translated().as_ref().map(ends),
        })
    }
}

fn ends(key: &FlowKey<IpAddr>) -> String {
    format!("{} → {}", end(key.src, key.sport.get()), end(key.dst, key.dport.get()))
}

/// TCP's flags: `SYN,ACK`.
fn flags(event: &Event) -> String {
    const TCP: u8 = 6;
    const NAMES: [&str; 8] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];

    let set = NAMES.iter().enumerate().filter(|(bit, _)| event.protocol == TCP && event.control >> bit & 1 == 1);
    set.map(|(_, name)| *name).collect::<Vec<_>>().join(",")
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { time, what, reason, hook, ifindex, interface, bytes, packet } = self;
        let interface = interface.clone().unwrap_or_else(|| format!("#{ifindex}"));
        write!(f, "{time} {what} {reason} {hook} {interface}")?;
        if let Some(Packet { protocol, source, source_port, destination, destination_port, flags, translated_to }) =
            packet
        {
            write!(f, " {protocol} {} → {}", end(*source, *source_port), end(*destination, *destination_port))?;
            if !flags.is_empty() {
                write!(f, " {flags}")?;
            }
            if let Some(becomes) = translated_to {
                write!(f, " becomes {becomes}")?;
            }
        }
        write!(f, " {bytes} bytes")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use caracal_abi::{Be16, Hook, Ip4, Reason};

    use super::*;

    fn event() -> Event {
        let memory = |text: &str| [Ip4::from(text.parse::<std::net::Ipv4Addr>().unwrap()).memory(), 0, 0, 0];
        let [src, dst, new_src, new_dst] = ["10.0.0.1", "198.51.100.7", "192.0.2.1", "198.51.100.7"].map(memory);
        let [sport, dport, lent] = [4000, 80, 20_000].map(Be16::new);
        let tuple =
            Event { src, dst, sport, dport, new_src, new_dst, new_sport: lent, new_dport: dport, ..Event::default() };
        let (hook, reason) = (Hook::FromPod as u8, Reason::NewFlow as u8);
        // No interface has this number.
        Event { hook, reason, family: Event::IPV4, protocol: 6, control: 0x12, bytes: 74, ifindex: u32::MAX, ..tuple }
    }

    fn text(event: &Event) -> String {
        Line::new(SystemTime::UNIX_EPOCH + Duration::from_micros(1), event).to_string()
    }

    #[test]
    fn a_line_says_when_what_where_and_who() {
        let event = event();
        let begin = "1970-01-01T00:00:00.000001Z forwarded new_flow from_pod #4294967295";
        let tuple = format!("{begin} tcp 10.0.0.1:4000 → 198.51.100.7:80 SYN,ACK");
        assert_eq!(text(&event), format!("{tuple} 74 bytes"));
        let translated = Event { flags: Event::TRANSLATED, ..event };
        assert_eq!(text(&translated), format!("{tuple} becomes 192.0.2.1:20000 → 198.51.100.7:80 74 bytes"));
        assert_eq!(text(&Event { family: 0, ..event }), format!("{begin} 74 bytes"));
        let newer = Event { family: 0, reason: 255, hook: 255, ..event };
        assert_eq!(text(&newer), "1970-01-01T00:00:00.000001Z ? 255 ? #4294967295 74 bytes");
    }

    #[test]
    fn scripts_get_the_same_as_one_object() {
        let line = Line::new(SystemTime::UNIX_EPOCH, &Event { flags: Event::TRANSLATED, ..event() });
        let value = serde_json::to_value(&line).unwrap();
        assert_eq!((&value["reason"], &value["what"]), (&"new_flow".into(), &"forwarded".into()));
        assert_eq!((&value["source"], &value["destination_port"]), (&"10.0.0.1".into(), &80.into()));
        assert_eq!(value["translated_to"], "192.0.2.1:20000 → 198.51.100.7:80");
        let without = serde_json::to_value(Line::new(SystemTime::UNIX_EPOCH, &Event::default())).unwrap();
        assert!(without.get("source").is_none(), "{without}");
    }
}
