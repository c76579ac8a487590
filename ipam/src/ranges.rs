//! Ranges of addresses and which of them to hand out next. Pure arithmetic on 128-bit numbers: a /64 costs no more than
//! a /24.

use std::{
    collections::HashSet,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
};

use excluded::Excluded;
use ipnetwork::IpNetwork;

mod excluded;

/// A range as a configuration writes it.
#[derive(Clone, Debug)]
pub struct RangeSpec {
    /// The subnet its addresses belong to.
    pub subnet: IpNetwork,
    /// First address to hand out; the subnet's second one if not given.
    pub start: Option<IpAddr>,
    /// Last address to hand out; the last usable one if not given.
    pub end: Option<IpAddr>,
    /// The subnet's gateway, never handed out; the subnet's second address if not given.
    pub gateway: Option<IpAddr>,
    /// Addresses in it that are never handed out.
    pub exclude: Vec<IpNetwork>,
}

/// What is wrong with a range, and in which of its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidRange {
    /// Key in host-local's schema.
    pub field: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

/// Consecutive addresses of one subnet, without its network and broadcast address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    subnet: IpNetwork,
    /// First and last address as numbers.
    span: RangeInclusive<u128>,
    excluded: Excluded,
    gateway: IpAddr,
}

impl Range {
    /// Fills in what `spec` leaves out and refuses what cannot work.
    pub fn new(spec: &RangeSpec) -> Result<Self, InvalidRange> {
        let RangeSpec { subnet, start, end, gateway, ref exclude } = *spec;
        let invalid = |field, reason| Err(InvalidRange { field, reason });
        if subnet.ip() != subnet.network() {
            let network = subnet.network();
            return invalid(
                "subnet",
                format!("{subnet} has host bits set; did you mean {network}/{}?", subnet.prefix()),
            );
        }
        let (v4, longest) = if subnet.is_ipv4() { (true, 30) } else { (false, 126) };
        if subnet.prefix() > longest {
            return invalid("subnet", format!("{subnet} is too small; the longest usable prefix is /{longest}"));
        }
        let network = bits(subnet.network());
        let usable = network + 1..=bits(subnet.broadcast()) - u128::from(v4);
        for (field, address) in [("rangeStart", start), ("rangeEnd", end)] {
            if let Some(address) = address
                && !(subnet.contains(address) && usable.contains(&bits(address)))
            {
                return invalid(field, format!("{address} is not a usable address of {subnet}"));
            }
        }
        if let Some(gateway) = gateway
            && gateway.is_ipv4() != v4
        {
            return invalid("gateway", format!("{gateway} is not of the same family as {subnet}"));
        }
        let span = start.map_or(*usable.start(), bits)..=end.map_or(*usable.end(), bits);
        if span.is_empty() {
            let reason = format!("comes before rangeStart {}", address(*span.start(), v4));
            return invalid("rangeEnd", reason);
        }
        if let Some(other) = exclude.iter().find(|other| other.is_ipv4() != v4 || !subnet.contains(other.ip())) {
            return invalid("exclude", format!("{other} is not in {subnet}"));
        }
        let gateway = gateway.unwrap_or_else(|| address(network + 1, v4));
        let range = Self { subnet, span, excluded: Excluded::default(), gateway }.excluding(exclude);
        if range.spans().is_empty() {
            return invalid("exclude", format!("leaves no address of {range}"));
        }
        Ok(range)
    }

    /// The same without those of its addresses that are in `networks`.
    #[must_use]
    pub fn excluding(self, networks: &[IpNetwork]) -> Self {
        let is_same_family = |network: &&IpNetwork| network.is_ipv4() == self.subnet.is_ipv4();
        let networks: Vec<_> = networks.iter().filter(is_same_family).copied().collect();
        Self { excluded: self.excluded.with(&networks), ..self }
    }

    /// The subnet.
    #[must_use]
    pub fn subnet(&self) -> IpNetwork {
        self.subnet
    }

    /// The subnet's gateway.
    #[must_use]
    pub fn gateway(&self) -> IpAddr {
        self.gateway
    }

    /// Whether `ip` is one of its addresses that are never handed out.
    #[must_use]
    pub fn excludes(&self, ip: IpAddr) -> bool {
        self.contains(ip) && self.excluded.contains(bits(ip))
    }

    /// Its addresses as numbers, without the excluded ones.
    fn spans(&self) -> Vec<RangeInclusive<u128>> {
        self.excluded.rest(&self.span)
    }

    /// Whether `ip` is one of its addresses, excluded or not.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.subnet.is_ipv4() == ip.is_ipv4() && self.span.contains(&bits(ip))
    }

    /// Whether the two share an address.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.subnet.is_ipv4() == other.subnet.is_ipv4()
            && self.span.start() <= other.span.end()
            && other.span.start() <= self.span.end()
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v4 = self.subnet.is_ipv4();
        write!(f, "{}-{}", address(*self.span.start(), v4), address(*self.span.end(), v4))
    }
}

/// Ranges of one family, tried in order, of which an attachment gets one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeSet {
    ranges: Vec<Range>,
}

/// Why ranges do not make a set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSet {
    /// Nothing in it.
    #[error("must not be empty")]
    Empty,
    /// IPv4 and IPv6 together.
    #[error("mixes IPv4 and IPv6; an address of each family needs a set of its own")]
    MixedFamilies,
    /// The same address twice.
    #[error("{0} overlaps {1}")]
    Overlap(String, String),
}

impl InvalidSet {
    /// Two ranges that share addresses.
    #[must_use]
    pub fn overlap(one: &Range, other: &Range) -> Self {
        Self::Overlap(one.to_string(), other.to_string())
    }
}

/// Addresses that are not to be handed out, and in the last resort which of them yet.
#[derive(Debug, Default)]
pub struct Unavailable {
    /// Never: gateways.
    pub reserved: HashSet<IpAddr>,
    /// Known to be held by somebody.
    pub taken: HashSet<IpAddr>,
    /// Given back a short time ago, the one that waits longest first.
    pub cooling: Vec<IpAddr>,
}

impl RangeSet {
    /// Checks that the ranges go together.
    pub fn new(ranges: Vec<Range>) -> Result<Self, InvalidSet> {
        let first = ranges.first().ok_or(InvalidSet::Empty)?;
        if ranges.iter().any(|range| range.subnet.is_ipv4() != first.subnet.is_ipv4()) {
            return Err(InvalidSet::MixedFamilies);
        }
        for (i, one) in ranges.iter().enumerate() {
            if let Some(other) = ranges[..i].iter().find(|other| one.overlaps(other)) {
                return Err(InvalidSet::overlap(one, other));
            }
        }
        Ok(Self { ranges })
    }

    /// The ranges, in order.
    #[must_use]
    pub fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    /// The same without those of its addresses that are in `networks`.
    #[must_use]
    pub fn excluding(self, networks: &[IpNetwork]) -> Self {
        Self { ranges: self.ranges.into_iter().map(|range| range.excluding(networks)).collect() }
    }

    /// Whether `ip` is in it and not excluded.
    #[must_use]
    pub fn gives(&self, ip: IpAddr) -> bool {
        self.range_of(ip).is_some_and(|range| !range.excludes(ip))
    }

    /// The range `ip` is in.
    #[must_use]
    pub fn range_of(&self, ip: IpAddr) -> Option<&Range> {
        self.ranges.iter().find(|range| range.contains(ip))
    }

    /// How many addresses it has, without the excluded ones.
    #[must_use]
    pub fn size(&self) -> u128 {
        let spans = self.ranges.iter().flat_map(Range::spans);
        spans.map(|span| (span.end() - span.start()).saturating_add(1)).fold(0, u128::saturating_add)
    }

    /// The address to hand out next: the first available one after `last`, round and round through all ranges; if there
    /// is none, the one that has been cooling longest.
    #[must_use]
    pub fn pick(&self, last: Option<IpAddr>, unavailable: &Unavailable) -> Option<IpAddr> {
        let Unavailable { reserved, taken, cooling } = unavailable;
        let free = |ip: &IpAddr| !reserved.contains(ip) && !taken.contains(ip);
        let cooling_set: HashSet<_> = cooling.iter().collect();
        self.round(last)
            .find(|ip| free(ip) && !cooling_set.contains(ip))
            .or_else(|| cooling.iter().copied().find(|ip| self.gives(*ip) && free(ip)))
    }

    /// Every address that is not excluded once, beginning after `last`.
    fn round(&self, last: Option<IpAddr>) -> impl Iterator<Item = IpAddr> {
        let v4 = self.ranges[0].subnet.is_ipv4();
        let split = last.and_then(|ip| Some((self.ranges.iter().position(|range| range.contains(ip))?, bits(ip))));
        let spans = |ranges: &[Range]| ranges.iter().flat_map(Range::spans).collect::<Vec<_>>();
        let order = match split {
            None => spans(&self.ranges),
            Some((at, last)) => {
                let Range { span, excluded, .. } = &self.ranges[at];
                // `last` is in the span, so one more overflows only at the end of all addresses, where nothing is left.
                let rest = last.checked_add(1).map(|next| next..=*span.end());
                let mut order: Vec<_> = rest.iter().flat_map(|rest| excluded.rest(rest)).collect();
                order.extend(spans(&self.ranges[at + 1..]));
                order.extend(spans(&self.ranges[..at]));
                order.extend(excluded.rest(&(*span.start()..=last)));
                order
            }
        };
        order.into_iter().flatten().map(move |bits| address(bits, v4))
    }
}

impl fmt::Display for RangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, range) in self.ranges.iter().enumerate() {
            write!(f, "{}{range}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_bits().into(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

fn address(bits: u128, v4: bool) -> IpAddr {
    if v4 {
        #[expect(clippy::cast_possible_truncation, reason = "the bits of an IPv4 range come from IPv4 addresses")]
        IpAddr::V4(Ipv4Addr::from_bits(bits as u32))
    } else {
        IpAddr::V6(Ipv6Addr::from_bits(bits))
    }
}

#[cfg(test)]
mod tests;
