//! Events as people's programs have them.

use std::net::IpAddr;

use crate::{Be16, Event, FlowKey, Hook, Ip4, Ip6, Reason};

impl Event {
    /// From the bytes that the kernel hands over; `None` if they are not as many.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; size_of::<Self>()] = bytes.try_into().ok()?;
        // SAFETY: as many bytes, and every byte pattern is an event.
        Some(unsafe { bytes.as_ptr().cast::<Self>().read_unaligned() })
    }

    /// Why it was counted; `None` for a reason of programs newer than this.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        Reason::ALL.get(usize::from(self.reason)).copied()
    }

    /// Where; `None` for a hook of programs newer than this.
    #[must_use]
    pub fn hook(&self) -> Option<Hook> {
        Hook::ALL.get(usize::from(self.hook)).copied()
    }

    /// Addresses, ports and protocol, if they could be read.
    #[must_use]
    pub fn tuple(&self) -> Option<FlowKey<IpAddr>> {
        self.key([self.src, self.dst], [self.sport, self.dport])
    }

    /// What they become, if they change.
    #[must_use]
    pub fn translated(&self) -> Option<FlowKey<IpAddr>> {
        let is_translated = self.flags & Self::TRANSLATED != 0;
        is_translated.then(|| self.key([self.new_src, self.new_dst], [self.new_sport, self.new_dport])).flatten()
    }

    fn key(&self, addresses: [[u32; 4]; 2], [sport, dport]: [Be16; 2]) -> Option<FlowKey<IpAddr>> {
        let [src, dst] = match self.family {
            Self::IPV4 => addresses.map(|words| IpAddr::from(Ip4::from_memory(words[0]))),
            Self::IPV6 => addresses.map(|words| IpAddr::from(Ip6::from_memory(words))),
            _ => return None,
        };
        Some(FlowKey::new(src, dst, sport, dport, self.protocol))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(family: u8, ips: [&str; 4]) -> Event {
        let words = |text: &str| match text.parse::<IpAddr>().unwrap() {
            IpAddr::V4(ip) => [Ip4::from(ip).memory(), 0, 0, 0],
            IpAddr::V6(ip) => Ip6::from(ip).memory(),
        };
        let [src, dst, new_src, new_dst] = ips.map(words);
        let addresses = Event { src, dst, new_src, new_dst, family, flags: Event::TRANSLATED, ..Event::default() };
        let port = Be16::new;
        Event { sport: port(1), dport: port(2), new_sport: port(3), new_dport: port(4), ..addresses }
    }

    #[test]
    fn addresses_come_back_as_they_went() {
        let families = [
            (Event::IPV4, ["10.0.0.1", "10.0.0.2", "192.0.2.1", "198.51.100.7"]),
            (Event::IPV6, ["fd00::1", "fd00::2", "2001:db8::1", "2001:db8::7"]),
        ];
        for (family, ips) in families {
            let event = event(family, ips);
            let [src, dst, new_src, new_dst] = ips.map(|text| text.parse::<IpAddr>().unwrap());
            let key = |src, dst, sport, dport| FlowKey::new(src, dst, Be16::new(sport), Be16::new(dport), 0);
            assert_eq!(event.tuple(), Some(key(src, dst, 1, 2)));
            assert_eq!(event.translated(), Some(key(new_src, new_dst, 3, 4)));
            assert_eq!(Event { flags: 0, ..event }.translated(), None);
            assert_eq!(Event { family: 0, ..event }.tuple(), None);
        }
    }

    #[test]
    fn reasons_of_newer_programs_are_none_of_ours() {
        let newest = u8::try_from(Reason::ALL.len() - 1).unwrap();
        assert_eq!(Event { reason: newest, ..Event::default() }.reason(), Reason::ALL.last().copied());
        assert_eq!(Event { reason: newest + 1, ..Event::default() }.reason(), None);
        assert_eq!(Event { hook: 200, ..Event::default() }.hook(), None);
    }

    #[test]
    fn only_whole_events_are_read() {
        let bytes: Vec<u8> = (0..104).collect();
        let event = Event::from_bytes(&bytes).unwrap();
        assert_eq!(event.time_ns, u64::from_ne_bytes([0, 1, 2, 3, 4, 5, 6, 7]));
        assert_eq!((event.hook, event.flags), (92, 97));
        assert_eq!(Event::from_bytes(&bytes[1..]), None);
        assert_eq!(Event::from_bytes(&[0; 105]), None);
    }
}
