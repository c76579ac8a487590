//! What the two address families differ in once the parser is done: their maps and their headers' lifetime field.

use aya_ebpf::btf_maps::{HashMap, LruHashMap};
use caracal_abi::{
    Be32, Be64, Endpoint, Flow, FlowKey, Ip4, Ip6, Service, ServiceKey, SocketKey, SocketPeer, Translation,
};
use caracal_logic::{Family, V4, V6, headers};

use crate::{
    maps::{self, Draft},
    skb::Skb,
};

/// The kernel side of a [`Family`].
pub trait KernelFamily: Family {
    /// Pods send from link-local addresses as a matter of course: neighbour discovery, multicast listener reports.
    const HAS_LINK_LOCAL_LIFE: bool;

    /// The local pod that owns an address.
    fn endpoint(addr: &Self::Addr) -> Option<Endpoint>;

    /// The host as pods address it: who seems to have sent what a pod sends to itself by way of a service.
    const GATEWAY: Self::Addr;
    /// For `bpf_l4_csum_replace`: a packet whose checksum the NIC has summed up over all of it need not be told of
    /// addresses that changed along with a checksum, which IPv4's header has and IPv6's has not.
    const CHECKSUM_FLAGS: u64;

    /// The flow table.
    fn flows() -> &'static LruHashMap<FlowKey<Self::Addr>, Flow<Self::Addr>, { maps::FLOW_ENTRIES }>;

    /// Where this CPU writes down the two directions of a flow.
    fn draft() -> Option<*mut Draft<Self::Addr>>;

    /// Who answers there.
    fn service(key: &ServiceKey<Self::Addr>) -> Option<Service<Self::Addr>>;

    /// Whether an address is the node's own.
    fn is_node(addr: &Self::Addr) -> bool;

    /// Whom sockets believe to talk to.
    fn socket_peers() -> &'static LruHashMap<SocketKey<Self::Addr>, SocketPeer<Self::Addr>, { maps::FLOW_ENTRIES }>;

    /// Writes other addresses into the IP header.
    fn readdress(skb: &Skb<'_>, l3: usize, translation: &Translation<Self::Addr>) -> Option<()>;

    /// Takes one from the TTL or hop limit. The caller has seen that it is more than one.
    fn age(skb: &Skb<'_>, l3: usize) -> Option<()>;
}

impl KernelFamily for V4 {
    const GATEWAY: Ip4 = Ip4(Be32::new(0xa9fe_0101));
    const CHECKSUM_FLAGS: u64 = 0;
    const HAS_LINK_LOCAL_LIFE: bool = false;

    #[inline(always)]
    fn endpoint(addr: &Ip4) -> Option<Endpoint> {
        lookup(&maps::ENDPOINTS4, addr)
    }

    #[inline(always)]
    fn flows() -> &'static LruHashMap<FlowKey<Ip4>, Flow<Ip4>, { maps::FLOW_ENTRIES }> {
        &maps::FLOWS4
    }

    #[inline(always)]
    fn draft() -> Option<*mut Draft<Ip4>> {
        maps::DRAFT4.get_ptr_mut(0)
    }

    #[inline(always)]
    fn service(key: &ServiceKey<Ip4>) -> Option<Service<Ip4>> {
        lookup(&maps::SERVICES4, key)
    }

    #[inline(always)]
    fn is_node(addr: &Ip4) -> bool {
        lookup(&maps::NODE4, addr).is_some()
    }

    #[inline(always)]
    fn socket_peers() -> &'static LruHashMap<SocketKey<Ip4>, SocketPeer<Ip4>, { maps::FLOW_ENTRIES }> {
        &maps::SOCK_REV4
    }

    #[inline(always)]
    fn readdress(skb: &Skb<'_>, l3: usize, translation: &Translation<Ip4>) -> Option<()> {
        let header: *mut headers::Ipv4 = skb.writable(l3)?;
        // SAFETY: `writable` has checked that the whole header is inside the packet.
        let header = unsafe { &mut *header };
        header.src = translation.src;
        header.dst = translation.dst;
        header.checksum = caracal_logic::checksum_after(header.checksum, translation.address_change);
        Some(())
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
    const GATEWAY: Ip6 = Ip6([Be64::new(0xfe80 << 48), Be64::new(1)]);
    const CHECKSUM_FLAGS: u64 = BPF_F_IPV6;
    const HAS_LINK_LOCAL_LIFE: bool = true;

    #[inline(always)]
    fn endpoint(addr: &Ip6) -> Option<Endpoint> {
        lookup(&maps::ENDPOINTS6, addr)
    }

    #[inline(always)]
    fn flows() -> &'static LruHashMap<FlowKey<Ip6>, Flow<Ip6>, { maps::FLOW_ENTRIES }> {
        &maps::FLOWS6
    }

    #[inline(always)]
    fn draft() -> Option<*mut Draft<Ip6>> {
        maps::DRAFT6.get_ptr_mut(0)
    }

    #[inline(always)]
    fn service(key: &ServiceKey<Ip6>) -> Option<Service<Ip6>> {
        lookup(&maps::SERVICES6, key)
    }

    #[inline(always)]
    fn is_node(addr: &Ip6) -> bool {
        lookup(&maps::NODE6, addr).is_some()
    }

    #[inline(always)]
    fn socket_peers() -> &'static LruHashMap<SocketKey<Ip6>, SocketPeer<Ip6>, { maps::FLOW_ENTRIES }> {
        &maps::SOCK_REV6
    }

    #[inline(always)]
    fn readdress(skb: &Skb<'_>, l3: usize, translation: &Translation<Ip6>) -> Option<()> {
        let header: *mut headers::Ipv6 = skb.writable(l3)?;
        // SAFETY: `writable` has checked that the whole header is inside the packet.
        let header = unsafe { &mut *header };
        header.src = translation.src;
        header.dst = translation.dst;
        Some(())
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
fn lookup<K, V: Copy, const N: usize>(map: &HashMap<K, V, N>, key: &K) -> Option<V> {
    // SAFETY: copied out at once; a torn read needs the entry to be rewritten at that very moment.
    unsafe { map.get(key) }.copied()
}

/// `BPF_F_IPV6`, which the bindings do not have yet.
const BPF_F_IPV6: u64 = 1 << 7;
