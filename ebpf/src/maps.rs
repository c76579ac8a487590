//! The maps. Their types are `caracal-abi`'s; user space sets the real sizes when it loads the object.

use aya_ebpf::{
    Global,
    btf_maps::{HashMap, LpmTrie, LruHashMap, PerCpuArray, ProgramArray},
    macros::btf_map,
};
use caracal_abi::{
    COUNTER_SLOTS, Counter, Endpoint, FirstFragment, Flow, FlowKey, FragmentKey, Held, HeldKey, Ip4, Ip6, Nic, Pair,
    Peer, Service, ServiceKey, SocketKey, SocketPeer, Tail,
};
use caracal_logic::Packet;

use crate::{answer::QUOTE, route::Route};

/// The programs that packets go on to which the fast path leaves alone.
#[btf_map]
pub static TAILS: ProgramArray<{ Tail::ALL.len() }> = ProgramArray::new();

/// Size of a flow table unless user space asks for another.
pub const FLOW_ENTRIES: usize = 65536;

/// The same of the table for flows that one side alone wants so far, which has two directions in an entry.
pub const NEW_FLOW_ENTRIES: usize = 8192;

#[btf_map]
pub static COUNTERS: PerCpuArray<Counter, { COUNTER_SLOTS as usize }> = PerCpuArray::new();

#[btf_map]
pub static ENDPOINTS4: HashMap<Ip4, Endpoint, 4096> = HashMap::new();

#[btf_map]
pub static ENDPOINTS6: HashMap<Ip6, Endpoint, 4096> = HashMap::new();

#[btf_map]
pub static FLOWS4: Flows<Ip4> = Flows::new();

#[btf_map]
pub static FLOWS6: Flows<Ip6> = Flows::new();

#[btf_map]
pub static FLOWS_NEW4: NewFlows<Ip4> = NewFlows::new();

#[btf_map]
pub static FLOWS_NEW6: NewFlows<Ip6> = NewFlows::new();

/// Flows that both sides want. Nobody is thrown out.
pub type Flows<A> = HashMap<FlowKey<A>, Flow<A>, FLOW_ENTRIES>;

/// All others. The one that was silent longest makes room for the next.
pub type NewFlows<A> = LruHashMap<FlowKey<A>, Pair<A>, NEW_FLOW_ENTRIES>;

/// Room for every mapping of a node's pods, and for the services to come.
pub const SERVICE_ENTRIES: usize = 65536;

#[btf_map]
pub static SERVICES4: HashMap<ServiceKey<Ip4>, Service<Ip4>, SERVICE_ENTRIES> = HashMap::new();

#[btf_map]
pub static SERVICES6: HashMap<ServiceKey<Ip6>, Service<Ip6>, SERVICE_ENTRIES> = HashMap::new();

/// A node's addresses; the value means nothing.
pub const NODE_ENTRIES: usize = 1024;

#[btf_map]
pub static NODE4: HashMap<Ip4, u32, NODE_ENTRIES> = HashMap::new();

#[btf_map]
pub static NODE6: HashMap<Ip6, u32, NODE_ENTRIES> = HashMap::new();

/// More NICs than that no node has; VLANs are NICs of their own.
pub const NIC_ENTRIES: usize = 4096;

#[btf_map]
pub static NICS: HashMap<u32, Nic, NIC_ENTRIES> = HashMap::new();

/// Prefixes: of other nodes' pods, of networks that know the way to pods.
pub const PEER_ENTRIES: usize = 65536;

#[btf_map]
pub static PEERS4: LpmTrie<[u32; 1], Peer, PEER_ENTRIES> = LpmTrie::new();

#[btf_map]
pub static PEERS6: LpmTrie<[u32; 4], Peer, PEER_ENTRIES> = LpmTrie::new();

/// Prefixes that pods may send from besides their own addresses, behind the number of the interface.
pub const SOURCE_ENTRIES: usize = 16384;

#[btf_map]
pub static SOURCES4: LpmTrie<[u32; 2], u32, SOURCE_ENTRIES> = LpmTrie::new();

#[btf_map]
pub static SOURCES6: LpmTrie<[u32; 5], u32, SOURCE_ENTRIES> = LpmTrie::new();

/// Where a tuple is in the table of new flows.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PairPlace<A> {
    /// Under which key.
    pub key: FlowKey<A>,
    /// Which of the two.
    pub side: usize,
}

/// A flow's two directions while they are decided. Holds what the last flow left behind.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Draft<A> {
    /// The packet as it was read.
    pub packet: Packet<A>,
    /// The pod that sends it, if one does.
    pub sender: Endpoint,
    /// The [`Hook`](caracal_abi::Hook) it came to.
    pub hook: u8,
    /// What is wrong with it: a [`Trouble`](crate::answer::Trouble).
    pub trouble: u8,
    /// What would have been short enough.
    pub mtu: u32,
    /// The tick in which this CPU has given the last answer, and how many.
    pub answers_tick: u32,
    pub answers: u32,
    /// The beginning of a packet that is answered.
    pub quote: [u32; QUOTE / 4],
    /// Its key.
    pub key: FlowKey<A>,
    /// The packet as its receiver sees it.
    pub question: FlowKey<A>,
    /// The receiver's answer.
    pub answer: FlowKey<A>,
    /// What becomes of packets like this one.
    pub forth: Flow<A>,
    /// What becomes of the answers.
    pub back: Flow<A>,
    /// Both, as they are stored.
    pub pair: Pair<A>,
    /// Where it, or another, was looked for.
    pub looked_up: PairPlace<A>,
    /// What the host's routes are asked and answer.
    pub route: Route,
}

#[btf_map]
pub static DRAFT4: PerCpuArray<Draft<Ip4>, 1> = PerCpuArray::new();

#[btf_map]
pub static DRAFT6: PerCpuArray<Draft<Ip6>, 1> = PerCpuArray::new();

/// First fragments that are remembered. The one that came longest ago makes room for the next.
pub type Fragments<A> = LruHashMap<FragmentKey<A>, FirstFragment, FRAGMENT_ENTRIES>;

/// Datagrams in fragments that are on their way at once.
pub const FRAGMENT_ENTRIES: usize = 8192;

#[btf_map]
pub static FRAGS4: Fragments<Ip4> = Fragments::new();

#[btf_map]
pub static FRAGS6: Fragments<Ip6> = Fragments::new();

/// Two megabytes of fragments that wait for the first of their datagram.
pub const HELD_ENTRIES: usize = 1024;

#[btf_map]
pub static HELD: LruHashMap<HeldKey, Held, HELD_ENTRIES> = LruHashMap::new();

/// A fragment that is to be held or released, outside the stack.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Part {
    /// Which it is.
    pub key: HeldKey,
    /// Bytes of the first fragment before its transport header.
    pub l4: u32,
    /// What is held.
    pub held: Held,
}

#[btf_map]
pub static PART: PerCpuArray<Part, 1> = PerCpuArray::new();

#[btf_map]
pub static SOCK_REV4: LruHashMap<SocketKey<Ip4>, SocketPeer<Ip4>, FLOW_ENTRIES> = LruHashMap::new();

#[btf_map]
pub static SOCK_REV6: LruHashMap<SocketKey<Ip6>, SocketPeer<Ip6>, FLOW_ENTRIES> = LruHashMap::new();

/// The cookie of the host's network namespace: only there is a loopback address the node's. Frozen like the next.
#[unsafe(no_mangle)]
pub static HOST_NETNS: Global<u64> = Global::new(0);

/// Whether the host's netfilter may translate the addresses of pods' flows: kube-proxy's services, port mappings. Frozen
/// like the next.
#[unsafe(no_mangle)]
pub static HOST_NAT: Global<u8> = Global::new(1);

/// Whether what pods send to the outside world gets the node's address. Frozen like the next.
#[unsafe(no_mangle)]
pub static MASQUERADE: Global<u8> = Global::new(0);

/// The ports that masqueraded packets are sent from: the first, and how many. Frozen like the next.
#[unsafe(no_mangle)]
pub static MASQUERADE_PORTS: Global<[u16; 2]> = Global::new([20_000, 10_000]);

/// Which senders a NIC's first packets are believed: [`REVERSE_LOOSE`], [`REVERSE_STRICT`] or all. Frozen like the next.
#[unsafe(no_mangle)]
pub static REVERSE_PATH: Global<u8> = Global::new(REVERSE_LOOSE);

/// Those that the host has a route to.
pub const REVERSE_LOOSE: u8 = 1;
/// Those that the host's route leads to by the same NIC.
pub const REVERSE_STRICT: u8 = 2;

/// How many bits of the kernel's clock are finer than a tick. Frozen like the next.
#[unsafe(no_mangle)]
pub static TICK_SHIFT: Global<u8> = Global::new(8);

/// Whether the kernel's `bpf_l4_csum_replace` has `BPF_F_IPV6`. Frozen like the next.
#[unsafe(no_mangle)]
pub static CHECKSUM_IPV6: Global<u8> = Global::new(1);

/// Whether the kernel has `bpf_redirect_peer`. Frozen before the programs load, so the verifier removes the other way.
#[unsafe(no_mangle)]
pub static REDIRECT_PEER: Global<u8> = Global::new(1);
