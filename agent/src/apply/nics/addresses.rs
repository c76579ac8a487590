//! The node's addresses, as the kernel lists them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use caracal_datapath::abi::Nic;
use futures_util::TryStreamExt;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use rtnetlink::Handle;

/// Interfaces by number, with their addresses in the kernel's order.
pub type Own = BTreeMap<u32, Vec<Address>>;

/// An address that others can send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    pub ip: IpAddr,
    flags: AddressFlags,
}

impl Address {
    /// How little it is meant to be sent from; `None` if it must not be, for somebody else may have it.
    fn reluctance(&self) -> Option<(bool, bool)> {
        let has = |flag| self.flags.contains(flag);
        let is_usable = !has(AddressFlags::Tentative) && !has(AddressFlags::Dadfailed);
        // The same flag says of an IPv6 address that it is a temporary one.
        is_usable.then(|| (has(AddressFlags::Deprecated), has(AddressFlags::Secondary)))
    }
}

/// The interfaces that are not pods', with the addresses that others can send to.
pub async fn own(handle: &Handle, pods: &BTreeSet<u32>) -> Result<Own, rtnetlink::Error> {
    let listed: Vec<_> = handle.address().get().execute().try_collect().await?;
    Ok(not_of_pods(listed.iter().filter_map(read), pods))
}

fn not_of_pods(addresses: impl Iterator<Item = (u32, Address)>, pods: &BTreeSet<u32>) -> Own {
    let mut own = Own::new();
    for (ifindex, address) in addresses.filter(|(ifindex, it)| !pods.contains(ifindex) && !it.ip.is_loopback()) {
        own.entry(ifindex).or_default().push(address);
    }
    own
}

fn read(message: &AddressMessage) -> Option<(u32, Address)> {
    if message.header.scope != AddressScope::Universe {
        return None;
    }
    // An IPv4 address is called local, and its network's or its peer's comes beside it.
    let find = |wanted: fn(&AddressAttribute) -> Option<IpAddr>| message.attributes.iter().find_map(wanted);
    let local = find(|attribute| if let AddressAttribute::Local(ip) = attribute { Some(*ip) } else { None });
    let address = find(|attribute| if let AddressAttribute::Address(ip) = attribute { Some(*ip) } else { None });
    let flags = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Flags(flags) => Some(*flags),
        _ => None,
    });
    Some((message.header.index, Address { ip: local.or(address)?, flags: flags.unwrap_or(AddressFlags::empty()) }))
}

/// Whom masqueraded packets that leave by this interface come from: of each family the first address that is primary and
/// neither deprecated nor temporary, or the next best one.
pub fn nic(addresses: &[Address]) -> Nic {
    let mut nic = Nic::default();
    let usable = addresses.iter().filter_map(|address| Some((address.reluctance()?, address.ip)));
    let mut usable: Vec<_> = usable.collect();
    // The best one is written last. Of equals the sort keeps the order, so that the kernel's first is last too.
    usable.reverse();
    usable.sort_by(|(one, _), (other, _)| other.cmp(one));
    for (_, ip) in usable {
        match ip {
            IpAddr::V4(ip) => nic.source4 = ip.into(),
            IpAddr::V6(ip) => nic.source6 = ip.into(),
        }
    }
    nic
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(ip: &str, flags: AddressFlags) -> Address {
        Address { ip: ip.parse().unwrap(), flags }
    }

    #[test]
    fn pods_and_loopback_addresses_are_not_the_nodes() {
        let addresses = [(1, "127.0.0.1"), (1, "192.0.2.100"), (2, "192.0.2.1"), (2, "2001:db8::1"), (7, "10.244.0.1")];
        let addresses = addresses.map(|(ifindex, ip)| (ifindex, address(ip, AddressFlags::Permanent)));
        let own = not_of_pods(addresses.into_iter(), &[7].into());
        assert_eq!(own.keys().copied().collect::<Vec<_>>(), [1, 2]);
        assert_eq!((own[&1].clone(), own[&2].len()), (vec![addresses[1].1], 2));
    }

    #[test]
    fn packets_are_masqueraded_as_the_first_primary_address() {
        let primary = AddressFlags::Permanent;
        let none = [
            address("192.0.2.2", primary | AddressFlags::Secondary),
            address("2001:db8::1", primary | AddressFlags::Deprecated),
            address("2001:db8::2", AddressFlags::Secondary),
            address("2001:db8::3", AddressFlags::Tentative),
        ];
        let second_best = nic(&none);
        assert_eq!((second_best.source4.into(), second_best.source6.into()), (none[0].ip, none[2].ip));
        let first = [address("192.0.2.3", primary), address("2001:db8::4", primary)];
        let rest = [address("192.0.2.4", primary), address("2001:db8::5", primary)];
        let best = nic(&[&none[..], &first, &rest].concat());
        assert_eq!((best.source4.into(), best.source6.into()), (first[0].ip, first[1].ip));
        assert_eq!(nic(&none[3..]), Nic::default());
    }
}
