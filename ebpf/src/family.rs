//! What the two address families differ in once the parser is done: their maps and their headers' lifetime field.

mod v4;
mod v6;

use aya_ebpf::btf_maps::{HashMap, LpmTrie, LruHashMap, lpm_trie};
use caracal_abi::{
    Address, Be16, Endpoint, Nic, Peer, Service, ServiceKey, SocketKey, SocketPeer, Tail, Translation, fold,
};
use caracal_logic::Family;

use crate::{
    maps::{self, Draft, Flows, Fragments, NewFlows},
    skb::Skb,
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

/// The value of the longest prefix that a whole key lies in.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "keys are short")]
fn longest<const W: usize, V: Copy, const N: usize>(map: &LpmTrie<[u32; W], V, N>, key: [u32; W]) -> Option<V> {
    map.get(&lpm_trie::Key::new(32 * W as u32, key)).copied()
}
