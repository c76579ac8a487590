//! What only user space needs: conversions to the standard library's types, display, and aya's marker.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use crate::{
    Address, Be16, Be32, Be64, Counter, Endpoint, FirstFragment, Flow, FlowKey, FragmentKey, Held, HeldKey, Ip4, Ip6,
    Mac, Nic, Pair, Peer, Service, ServiceKey, SocketKey, SocketPeer, Translation,
};

mod event;

macro_rules! pod {
    ($($t:ty),+ $(,)?) => { $(
        // SAFETY: `repr(C)` or transparent over integers, padding written out: every byte pattern is a value, and no
        // byte is ever uninitialised.
        unsafe impl aya::Pod for $t {}
    )+ };
}
pod!(Be16, Be32, Be64, Ip4, Ip6, Mac, Counter, Endpoint, Nic, Peer);
pod!(crate::Event, crate::EventState);
pod!(FirstFragment, FragmentKey<Ip4>, FragmentKey<Ip6>, Held, HeldKey);
pod!(Service<Ip4>, Service<Ip6>, ServiceKey<Ip4>, ServiceKey<Ip6>);
pod!(SocketKey<Ip4>, SocketKey<Ip6>, SocketPeer<Ip4>, SocketPeer<Ip6>);

// SAFETY: as above for both kinds of addresses, and there are no others: sizes are asserted where the types are.
unsafe impl<A: Address> aya::Pod for FlowKey<A> {}
// SAFETY: the same.
unsafe impl<A: Address> aya::Pod for Flow<A> {}
// SAFETY: the same.
unsafe impl<A: Address> aya::Pod for Pair<A> {}

impl<A: Copy> Flow<A> {
    /// The same flow with its addresses seen as another type, for code that shows both families.
    #[must_use]
    pub fn map<B>(&self, address: impl Fn(A) -> B) -> Flow<B> {
        let Self { in_ifindex, out_ifindex, dst_mac, src_mac, via, seen, flags, .. } = *self;
        let Self { last_seen, max_len, packets, bytes, translation, .. } = *self;
        let Translation { src, dst, sport, dport, address_change, port_change } = translation;
        let (src, dst) = (address(src), address(dst));
        let translation = Translation { src, dst, sport, dport, address_change, port_change };
        Flow {
            in_ifindex,
            out_ifindex,
            dst_mac,
            src_mac,
            via,
            seen,
            flags,
            last_seen,
            max_len,
            packets,
            bytes,
            translation,
        }
    }
}

impl From<Ipv4Addr> for Ip4 {
    fn from(addr: Ipv4Addr) -> Self {
        Self(Be32::new(addr.to_bits()))
    }
}

impl From<Ip4> for Ipv4Addr {
    fn from(addr: Ip4) -> Self {
        Self::from_bits(addr.0.get())
    }
}

impl From<Ipv6Addr> for Ip6 {
    fn from(addr: Ipv6Addr) -> Self {
        let bits = addr.to_bits();
        let [high, low] = [bits >> 64, bits & u128::from(u64::MAX)].map(|half| u64::try_from(half).unwrap_or_default());
        Self([Be64::new(high), Be64::new(low)])
    }
}

impl From<Ip6> for Ipv6Addr {
    fn from(addr: Ip6) -> Self {
        let [high, low] = addr.0;
        Self::from_bits((u128::from(high.get()) << 64) | u128::from(low.get()))
    }
}

impl From<Ip4> for IpAddr {
    fn from(addr: Ip4) -> Self {
        Ipv4Addr::from(addr).into()
    }
}

impl From<Ip6> for IpAddr {
    fn from(addr: Ip6) -> Self {
        Ipv6Addr::from(addr).into()
    }
}

impl FromStr for Mac {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut mac = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut mac {
            let part = parts.next().unwrap_or_default();
            *byte = u8::from_str_radix(part, 16).map_err(|e| format!("MAC address {text:?}: {part:?}: {e}"))?;
        }
        match parts.next() {
            None => Ok(Self(mac)),
            Some(_) => Err(format!("MAC address {text:?} has more than six parts")),
        }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.map(|byte| format!("{byte:02x}"));
        f.write_str(&bytes.join(":"))
    }
}

macro_rules! display_as {
    ($($t:ty => $std:ty),+ $(,)?) => { $(
        impl fmt::Display for $t {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                <$std>::from(*self).fmt(f)
            }
        }
    )+ };
}
display_as!(Ip4 => Ipv4Addr, Ip6 => Ipv6Addr);

impl fmt::Display for Be16 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_way_there_and_back() {
        for text in ["0.0.0.0", "10.0.0.1", "255.255.255.255"] {
            let addr: Ipv4Addr = text.parse().unwrap();
            assert_eq!(Ipv4Addr::from(Ip4::from(addr)), addr);
        }
        for text in ["::", "::1", "2001:db8:1:2:3:4:5:6", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"] {
            let addr: Ipv6Addr = text.parse().unwrap();
            assert_eq!(Ipv6Addr::from(Ip6::from(addr)), addr);
        }
    }

    #[test]
    fn an_address_is_in_wire_order_in_memory() {
        let Ip6([high, low]) = Ip6::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
        assert_eq!((high.get(), low.get()), (0x2001_0db8_0000_0000, 1));
    }

    #[test]
    fn a_translation_knows_what_it_does_to_checksums() {
        let key = |src: &str, dst: &str, sport, dport| {
            let [src, dst] = [src, dst].map(|text| Ip6::from(text.parse::<Ipv6Addr>().unwrap()));
            FlowKey::new(src, dst, Be16::new(sport), Be16::new(dport), 6)
        };
        let (from, to) = (key("2001:db8::1", "fd00::ffff", 4000, 80), key("fe80::1", "fd00:1:2:3::9", 4000, 8080));
        let translation = Translation::new(&from, &to);
        let fold = |sum: u32| (sum & 0xffff) + (sum >> 16);
        let memory = |key: &FlowKey<Ip6>| {
            let words = [key.src, key.dst].map(|addr| Ipv6Addr::from(addr).octets()).concat();
            let words = words.chunks(2).map(|pair| u32::from(u16::from_ne_bytes([pair[0], pair[1]])));
            fold(fold(words.sum()))
        };
        // Old and change together are the new.
        let sum = fold(memory(&from) + u32::from(translation.address_change));
        assert_eq!(sum, memory(&to));
        assert_eq!(u32::from(translation.port_change), fold(u32::from(8080u16.to_be()) + u32::from(!80u16.to_be())));
    }

    #[test]
    fn ipv4_in_ipv6() {
        let ip6 = |text: &str| Ip6::from(text.parse::<Ipv6Addr>().unwrap());
        assert_eq!(ip6("::ffff:10.0.0.1").as_v4(), Some("10.0.0.1".parse::<Ipv4Addr>().unwrap().into()));
        assert_eq!(Ip6::from_v4("10.0.0.1".parse::<Ipv4Addr>().unwrap().into()), ip6("::ffff:10.0.0.1"));
        for other in ["::10.0.0.1", "::1", "64:ff9b::10.0.0.1", "::1:ffff:10.0.0.1"] {
            assert_eq!(ip6(other).as_v4(), None, "{other}");
        }
        let words = ip6("2001:db8:1:2:3:4:5:6");
        assert_eq!(Ip6::from_memory(words.memory()), words);
    }

    #[test]
    fn mac_text() {
        let mac: Mac = "02:00:5e:10:00:ff".parse().unwrap();
        assert_eq!(mac.to_string(), "02:00:5e:10:00:ff");
        for bad in ["", "02:00:5e:10:00", "02:00:5e:10:00:ff:01", "02:00:5e:10:00:zz"] {
            assert!(bad.parse::<Mac>().is_err(), "{bad}");
        }
    }

    #[test]
    fn scope_of_addresses_agrees_with_the_standard_library() {
        use crate::Address;
        for text in ["0.0.0.0", "169.254.1.1", "169.253.1.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "10.0.0.1"] {
            let std: Ipv4Addr = text.parse().unwrap();
            let ours = Ip4::from(std);
            assert_eq!(ours.is_unspecified(), std.is_unspecified(), "{text}");
            assert_eq!(ours.is_link_local(), std.is_link_local(), "{text}");
            assert_eq!(ours.is_multicast(), std.is_multicast(), "{text}");
        }
        for text in ["::", "::1", "fe80::1", "febf::1", "fec0::1", "ff02::1", "fe00::1", "2001:db8::1"] {
            let std: Ipv6Addr = text.parse().unwrap();
            let ours = Ip6::from(std);
            assert_eq!(ours.is_unspecified(), std.is_unspecified(), "{text}");
            assert_eq!(ours.is_link_local(), std.is_unicast_link_local(), "{text}");
            assert_eq!(ours.is_multicast(), std.is_multicast(), "{text}");
        }
    }
}
