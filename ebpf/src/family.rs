//! What the two address families differ in once the parser is done: their maps and their headers' lifetime field.

use aya_ebpf::btf_maps::{HashMap, LruHashMap};
use caracal_abi::{Address, Endpoint, Flow, FlowKey, Ip4, Ip6};
use caracal_logic::{Family, V4, V6, headers};

use crate::{maps, skb::Skb};

/// The kernel side of a [`Family`].
pub trait KernelFamily: Family {
    /// Pods send from link-local addresses as a matter of course: neighbour discovery, multicast listener reports.
    const HAS_LINK_LOCAL_LIFE: bool;

    /// The local pod that owns an address.
    fn endpoint(addr: &Self::Addr) -> Option<Endpoint>;

    /// The flow table.
    fn flows() -> &'static LruHashMap<FlowKey<Self::Addr>, Flow, { maps::FLOW_ENTRIES }>;

    /// Takes one from the TTL or hop limit. The caller has seen that it is more than one.
    fn age(skb: &Skb<'_>, l3: usize) -> Option<()>;
}

impl KernelFamily for V4 {
    const HAS_LINK_LOCAL_LIFE: bool = false;

    #[inline(always)]
    fn endpoint(addr: &Ip4) -> Option<Endpoint> {
        lookup(&maps::ENDPOINTS4, addr)
    }

    #[inline(always)]
    fn flows() -> &'static LruHashMap<FlowKey<Ip4>, Flow, { maps::FLOW_ENTRIES }> {
        &maps::FLOWS4
    }

    #[inline(always)]
    fn age(skb: &Skb<'_>, l3: usize) -> Option<()> {
        let header: *mut headers::Ipv4 = skb.writable(l3)?;
        // SAFETY: `writable` has checked that the whole header is inside the packet.
        let header = unsafe { &mut *header };
        header.ttl = header.ttl.wrapping_sub(1);
        header.checksum = caracal_logic::checksum_after_aging(header.checksum);
        Some(())
    }
}

impl KernelFamily for V6 {
    const HAS_LINK_LOCAL_LIFE: bool = true;

    #[inline(always)]
    fn endpoint(addr: &Ip6) -> Option<Endpoint> {
        lookup(&maps::ENDPOINTS6, addr)
    }

    #[inline(always)]
    fn flows() -> &'static LruHashMap<FlowKey<Ip6>, Flow, { maps::FLOW_ENTRIES }> {
        &maps::FLOWS6
    }

    #[inline(always)]
    fn age(skb: &Skb<'_>, l3: usize) -> Option<()> {
        let header: *mut headers::Ipv6 = skb.writable(l3)?;
        // SAFETY: `writable` has checked that the whole header is inside the packet.
        let header = unsafe { &mut *header };
        header.hop_limit = header.hop_limit.wrapping_sub(1);
        Some(())
    }
}

#[inline(always)]
fn lookup<A: Address, const N: usize>(map: &HashMap<A, Endpoint, N>, addr: &A) -> Option<Endpoint> {
    // SAFETY: copied out at once; a torn read needs the same pod's entry to be rewritten at that very moment.
    unsafe { map.get(addr) }.copied()
}
