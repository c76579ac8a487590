//! IPv4.

use aya_ebpf::btf_maps::LruHashMap;
use caracal_abi::{
    Be16, Be32, Endpoint, Ip4, Nic, Peer, Service, ServiceKey, SocketKey, SocketPeer, Tail, Translation,
};
use caracal_logic::{Bytes as _, Family, V4, headers};

use super::{LIFETIME, NETWORK_CONTROL, longest, lookup, pseudo_header};
use crate::{
    answer::{complement, sum},
    family::KernelFamily,
    fragments,
    maps::{self, Draft, Flows, Fragments, NewFlows},
    skb::Skb,
    table,
};

impl KernelFamily for V4 {
    const GATEWAY: Ip4 = Ip4(Be32::new(0xa9fe_0101));
    const HAS_LINK_LOCAL_LIFE: bool = false;
    const HEADER_HAS_CHECKSUM: bool = true;
    const SERVICE: Tail = Tail::Service4;
    const OUTSIDE: Tail = Tail::Outside4;
    const RELATED: Tail = Tail::Related4;
    const ANSWER: Tail = Tail::Answer4;
    const TIME_EXCEEDED: (u8, u8) = (11, 0);
    const TOO_BIG: (u8, u8) = (3, 4);
    const LATER_FROM_POD: Tail = Tail::FromPodFrag4;
    const LATER_FROM_NET: Tail = Tail::FromNetFrag4;
    const NUMBERS_BY_PROTOCOL: bool = true;
    const SOCKET_FAMILY: u8 = 2;
    const HEADER_LEN: u32 = 20;

    #[inline(always)]
    fn endpoint(addr: &Ip4) -> Option<Endpoint> {
        lookup(&maps::ENDPOINTS4, addr)
    }

    #[inline(always)]
    fn flows() -> &'static Flows<Ip4> {
        &maps::FLOWS4
    }

    #[inline(always)]
    fn new_flows() -> &'static NewFlows<Ip4> {
        &maps::FLOWS_NEW4
    }

    #[inline(always)]
    fn peer(addr: &Ip4) -> Option<Peer> {
        longest(&maps::PEERS4, [addr.memory()])
    }

    #[inline(always)]
    fn may_send(ifindex: u32, addr: &Ip4) -> bool {
        longest(&maps::SOURCES4, [ifindex, addr.memory()]).is_some()
    }

    #[inline(always)]
    fn fragments() -> &'static Fragments<Ip4> {
        &maps::FRAGS4
    }

    #[inline(always)]
    fn remember(ifindex: u32) -> bool {
        fragments::remember4(ifindex) != 0
    }

    #[inline(always)]
    fn settle(ifindex: u32, action: i32) {
        fragments::settle4(ifindex, action);
    }

    #[inline(always)]
    fn claim() -> bool {
        claim4() != 0
    }

    #[inline(always)]
    fn source(nic: &Nic) -> Ip4 {
        nic.source4
    }

    #[inline(always)]
    fn words(addr: &Ip4) -> [u32; 4] {
        [addr.memory(), 0, 0, 0]
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
    fn destination(skb: &Skb<'_>, l3: usize) -> Option<Ip4> {
        skb.read::<headers::Ipv4>(l3).map(|header| header.dst)
    }

    #[inline(always)]
    fn readdress(skb: &Skb<'_>, l3: usize, translation: &Translation<Ip4>) -> Option<()> {
        let header: *mut headers::Ipv4 = skb.writable(l3)?;
        // SAFETY: `writable` has checked that the whole header is inside the packet.
        let header = unsafe { &mut *header };
        header.src = translation.src;
        header.dst = translation.dst;
        header.checksum = caracal_logic::checksum_after(header.checksum, translation.address_change.into());
        Some(())
    }

    #[inline(always)]
    fn change_pseudo_header(skb: &Skb<'_>, at: usize, change: u16, flags: u64) -> Option<()> {
        skb.change_l4_checksum(at, change, flags)
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "IPv4's packets are no longer")]
    fn mtu_words(mtu: u32) -> [u16; 2] {
        [0, mtu as u16]
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "headers are short")]
    fn write_header(skb: &Skb<'_>, l3: usize, src: &Ip4, dst: &Ip4, protocol: u8, len: u32) -> Option<()> {
        let header: *mut headers::Ipv4 = skb.writable(l3)?;
        // SAFETY: `writable` has checked that the whole header is inside the packet.
        let header = unsafe { &mut *header };
        header.version_ihl = 0x45;
        header.tos = NETWORK_CONTROL;
        header.total_len = Be16::new((Self::HEADER_LEN + len) as u16);
        header.id = Be16::new(0);
        header.flags_offset = Be16::new(0);
        header.ttl = LIFETIME;
        header.protocol = protocol;
        header.checksum = Be16::new(0);
        header.src = *src;
        header.dst = *dst;
        header.checksum = complement(sum(core::ptr::from_mut(header).cast(), Self::HEADER_LEN, 0));
        Some(())
    }

    #[inline(always)]
    fn pseudo_header(src: &Ip4, dst: &Ip4, protocol: u8, len: u32) -> u32 {
        if protocol == Self::ICMP { 0 } else { pseudo_header(src, dst, protocol, len) }
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

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn claim4() -> u32 {
    u32::from(table::claim::<V4>())
}
