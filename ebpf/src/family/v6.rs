//! IPv6.

use aya_ebpf::btf_maps::LruHashMap;
use caracal_abi::{
    Be16, Be32, Be64, Endpoint, Ip6, Nic, Peer, Service, ServiceKey, SocketKey, SocketPeer, Tail, Translation,
};
use caracal_logic::{Bytes as _, V6, headers};

use super::{LIFETIME, NETWORK_CONTROL, longest, lookup, pseudo_header};
use crate::{
    family::KernelFamily,
    fragments,
    maps::{self, Draft, Flows, Fragments, NewFlows},
    skb::Skb,
    table,
};

impl KernelFamily for V6 {
    const GATEWAY: Ip6 = Ip6([Be64::new(0xfe80 << 48), Be64::new(1)]);
    const HAS_LINK_LOCAL_LIFE: bool = true;
    const HEADER_HAS_CHECKSUM: bool = false;
    const SERVICE: Tail = Tail::Service6;
    const OUTSIDE: Tail = Tail::Outside6;
    const RELATED: Tail = Tail::Related6;
    const ANSWER: Tail = Tail::Answer6;
    const TIME_EXCEEDED: (u8, u8) = (3, 0);
    const TOO_BIG: (u8, u8) = (2, 0);
    const LATER_FROM_POD: Tail = Tail::FromPodFrag6;
    const LATER_FROM_NET: Tail = Tail::FromNetFrag6;
    const NUMBERS_BY_PROTOCOL: bool = false;
    const SOCKET_FAMILY: u8 = 10;
    const HEADER_LEN: u32 = 40;

    #[inline(always)]
    fn endpoint(addr: &Ip6) -> Option<Endpoint> {
        lookup(&maps::ENDPOINTS6, addr)
    }

    #[inline(always)]
    fn flows() -> &'static Flows<Ip6> {
        &maps::FLOWS6
    }

    #[inline(always)]
    fn new_flows() -> &'static NewFlows<Ip6> {
        &maps::FLOWS_NEW6
    }

    #[inline(always)]
    fn peer(addr: &Ip6) -> Option<Peer> {
        longest(&maps::PEERS6, addr.memory())
    }

    #[inline(always)]
    fn may_send(ifindex: u32, addr: &Ip6) -> bool {
        let [a, b, c, d] = addr.memory();
        longest(&maps::SOURCES6, [ifindex, a, b, c, d]).is_some()
    }

    #[inline(always)]
    fn fragments() -> &'static Fragments<Ip6> {
        &maps::FRAGS6
    }

    #[inline(always)]
    fn remember(ifindex: u32) -> bool {
        fragments::remember6(ifindex) != 0
    }

    #[inline(always)]
    fn settle(ifindex: u32, action: i32) {
        fragments::settle6(ifindex, action);
    }

    #[inline(always)]
    fn claim() -> bool {
        claim6() != 0
    }

    #[inline(always)]
    fn source(nic: &Nic) -> Ip6 {
        nic.source6
    }

    #[inline(always)]
    fn words(addr: &Ip6) -> [u32; 4] {
        addr.memory()
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
    fn destination(skb: &Skb<'_>, l3: usize) -> Option<Ip6> {
        skb.read::<headers::Ipv6>(l3).map(|header| header.dst)
    }

    #[inline(always)]
    fn readdress(skb: &Skb<'_>, l3: usize, translation: &Translation<Ip6>) -> Option<()> {
        let header: *mut headers::Ipv6 = skb.writable(l3)?;
        // SAFETY: `writable` has checked that the whole header is inside the packet.
        let header = unsafe { &mut *header };
        // Word by word, all read first: the compiler copies what may overlap byte by byte.
        let ([a, b], [c, d]) = (translation.src.0, translation.dst.0);
        header.src.0[0] = a;
        header.src.0[1] = b;
        header.dst.0[0] = c;
        header.dst.0[1] = d;
        Some(())
    }

    #[inline(always)]
    fn change_pseudo_header(skb: &Skb<'_>, at: usize, change: u16, flags: u64) -> Option<()> {
        if maps::CHECKSUM_IPV6.load() != 0 {
            return skb.change_l4_checksum(at, change, flags | BPF_F_IPV6);
        }
        // An older kernel changes its sum of the whole packet as if only the checksum had changed: the addresses have too.
        skb.change_l4_checksum(at, change, flags)?;
        skb.change_whole_sum(change);
        Some(())
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the halves")]
    fn mtu_words(mtu: u32) -> [u16; 2] {
        [(mtu >> 16) as u16, mtu as u16]
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "headers are short")]
    fn write_header(skb: &Skb<'_>, l3: usize, src: &Ip6, dst: &Ip6, protocol: u8, len: u32) -> Option<()> {
        let header: *mut headers::Ipv6 = skb.writable(l3)?;
        // SAFETY: `writable` has checked that the whole header is inside the packet.
        let header = unsafe { &mut *header };
        header.version_class_flow = Be32::new(6 << 28 | u32::from(NETWORK_CONTROL) << 20);
        header.payload_len = Be16::new(len as u16);
        header.next_header = protocol;
        header.hop_limit = LIFETIME;
        header.src = *src;
        header.dst = *dst;
        Some(())
    }

    #[inline(always)]
    fn pseudo_header(src: &Ip6, dst: &Ip6, protocol: u8, len: u32) -> u32 {
        pseudo_header(src, dst, protocol, len)
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

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn claim6() -> u32 {
    u32::from(table::claim::<V6>())
}

/// `BPF_F_IPV6`, which the bindings do not have yet.
const BPF_F_IPV6: u64 = 1 << 7;
