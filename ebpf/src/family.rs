//! What the two address families differ in once the parser is done: their maps and their headers' lifetime field.

use aya_ebpf::btf_maps::{HashMap, LpmTrie, LruHashMap, lpm_trie};
use caracal_abi::{
    Address, Be16, Be32, Be64, Endpoint, Ip4, Ip6, Nic, Peer, Service, ServiceKey, SocketKey, SocketPeer, Tail,
    Translation, fold,
};
use caracal_logic::{Bytes as _, Family, V4, V6, headers};

use crate::{
    answer::{complement, sum},
    fragments,
    maps::{self, Draft, Flows, Fragments, NewFlows},
    skb::Skb,
    table,
};

/// The kernel side of a [`Family`].
pub trait KernelFamily: Family {
    /// Pods send from link-local addresses as a matter of course: neighbour discovery, multicast listener reports.
    const HAS_LINK_LOCAL_LIFE: bool;
    /// IPv4's header is summed up by itself, so that changes of it cancel out in sums over the whole packet.
    const HEADER_HAS_CHECKSUM: bool;

    /// The local pod that owns an address.
    fn endpoint(addr: &Self::Addr) -> Option<Endpoint>;

    /// The host as pods address it: who seems to have sent what a pod sends to itself by way of a service.
    const GATEWAY: Self::Addr;

    /// Where first packets go on to that may be for a service.
    const SERVICE: Tail;
    /// Where first packets to nobody on this node go on to.
    const OUTSIDE: Tail;
    /// Where ICMP errors go on to.
    const RELATED: Tail;
    /// Where packets go on to that are to be answered.
    const ANSWER: Tail;
    /// Type and code of the ICMP error about a lifetime that is used up.
    const TIME_EXCEEDED: (u8, u8);
    /// Type and code of the ICMP error about a packet that is too long.
    const TOO_BIG: (u8, u8);
    /// Where fragments from pods go on to that are not the first.
    const LATER_FROM_POD: Tail;
    /// The same from NICs.
    const LATER_FROM_NET: Tail;
    /// Whether senders number the datagrams of each protocol by themselves.
    const NUMBERS_BY_PROTOCOL: bool;
    /// The number of the family in sockets.
    const SOCKET_FAMILY: u8;
    /// Bytes of the header without options.
    const HEADER_LEN: u32;

    /// Flows that both sides want.
    fn flows() -> &'static Flows<Self::Addr>;

    /// Flows that one side alone wants so far.
    fn new_flows() -> &'static NewFlows<Self::Addr>;

    /// Who is behind an address, if it is not just somebody.
    fn peer(addr: &Self::Addr) -> Option<Peer>;

    /// Whether a pod may send from an address that is not its own.
    fn may_send(ifindex: u32, addr: &Self::Addr) -> bool;

    /// First fragments that are remembered.
    fn fragments() -> &'static Fragments<Self::Addr>;

    /// [`fragments::remember`], for the draft of this CPU.
    fn remember(ifindex: u32) -> bool;

    /// [`fragments::settle`], for the draft of this CPU.
    fn settle(ifindex: u32, action: i32);

    /// [`table::claim`], for the draft of this CPU.
    fn claim() -> bool;

    /// Whom masqueraded packets come from that leave by a NIC.
    fn source(nic: &Nic) -> Self::Addr;

    /// The address as the kernel's route look-up has it: as it lies in memory, at the beginning of four words.
    fn words(addr: &Self::Addr) -> [u32; 4];

    /// Where this CPU writes down the two directions of a flow.
    fn draft() -> Option<*mut Draft<Self::Addr>>;

    /// Who answers there.
    fn service(key: &ServiceKey<Self::Addr>) -> Option<Service<Self::Addr>>;

    /// Whether an address is the node's own.
    fn is_node(addr: &Self::Addr) -> bool;

    /// Whom sockets believe to talk to.
    fn socket_peers() -> &'static LruHashMap<SocketKey<Self::Addr>, SocketPeer<Self::Addr>, { maps::FLOW_ENTRIES }>;

    /// Whom a packet is for that may be wrong otherwise.
    fn destination(skb: &Skb<'_>, l3: usize) -> Option<Self::Addr>;

    /// Writes other addresses into the IP header.
    fn readdress(skb: &Skb<'_>, l3: usize, translation: &Translation<Self::Addr>) -> Option<()>;

    /// Tells the transport checksum at this offset that the addresses have changed.
    ///
    /// A packet whose checksum the NIC has summed up over all of it need not be told of addresses that changed along with a
    /// checksum, which IPv4's header has and IPv6's has not.
    fn change_pseudo_header(skb: &Skb<'_>, at: usize, change: u16, flags: u64) -> Option<()>;

    /// The second word of an ICMP error that tells an MTU, in halves.
    fn mtu_words(mtu: u32) -> [u16; 2];

    /// Writes a new IP header, with so many bytes behind it.
    fn write_header(skb: &Skb<'_>, l3: usize, src: &Self::Addr, dst: &Self::Addr, protocol: u8, len: u32)
    -> Option<()>;

    /// The sum of what a transport checksum covers besides the message; ICMP's of IPv4 covers nothing else.
    fn pseudo_header(src: &Self::Addr, dst: &Self::Addr, protocol: u8, len: u32) -> u32;

    /// Takes one from the TTL or hop limit. The caller has seen that it is more than one.
    fn age(skb: &Skb<'_>, l3: usize) -> Option<()>;
}

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
        header.src = translation.src;
        header.dst = translation.dst;
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

#[inline(always)]
fn lookup<K, V: Copy, const N: usize>(map: &HashMap<K, V, N>, key: &K) -> Option<V> {
    // SAFETY: copied out at once; a torn read needs the entry to be rewritten at that very moment.
    unsafe { map.get(key) }.copied()
}

/// What a node's answers are marked with, as by every router: they are few, and matter.
const NETWORK_CONTROL: u8 = 0xc0;
/// Hops that a node's answers may take.
const LIFETIME: u8 = 64;

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "headers are short")]
fn pseudo_header<A: Address>(src: &A, dst: &A, protocol: u8, len: u32) -> u32 {
    let addresses = u32::from(fold(src.sum())) + u32::from(fold(dst.sum()));
    addresses + Be16::new(len as u16).memory() + Be16::new(protocol.into()).memory()
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn claim4() -> u32 {
    u32::from(table::claim::<V4>())
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn claim6() -> u32 {
    u32::from(table::claim::<V6>())
}

/// The value of the longest prefix that a whole key lies in.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "keys are short")]
fn longest<const W: usize, V: Copy, const N: usize>(map: &LpmTrie<[u32; W], V, N>, key: [u32; W]) -> Option<V> {
    map.get(&lpm_trie::Key::new(32 * W as u32, key)).copied()
}

/// `BPF_F_IPV6`, which the bindings do not have yet.
const BPF_F_IPV6: u64 = 1 << 7;
