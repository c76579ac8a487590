//! The maps. Their types are `caracal-abi`'s; user space sets the real sizes when it loads the object.

use aya_ebpf::{
    Global,
    btf_maps::{HashMap, LruHashMap, PerCpuArray},
    macros::btf_map,
};
use caracal_abi::{
    COUNTER_SLOTS, Counter, Endpoint, Flow, FlowKey, Ip4, Ip6, Service, ServiceKey, SocketKey, SocketPeer,
};

/// Size of a flow table unless user space asks for another.
pub const FLOW_ENTRIES: usize = 65536;

#[btf_map]
pub static COUNTERS: PerCpuArray<Counter, { COUNTER_SLOTS as usize }> = PerCpuArray::new();

#[btf_map]
pub static ENDPOINTS4: HashMap<Ip4, Endpoint, 4096> = HashMap::new();

#[btf_map]
pub static ENDPOINTS6: HashMap<Ip6, Endpoint, 4096> = HashMap::new();

#[btf_map]
pub static FLOWS4: LruHashMap<FlowKey<Ip4>, Flow<Ip4>, FLOW_ENTRIES> = LruHashMap::new();

#[btf_map]
pub static FLOWS6: LruHashMap<FlowKey<Ip6>, Flow<Ip6>, FLOW_ENTRIES> = LruHashMap::new();

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

/// A flow's two directions while they are decided. Holds what the last flow left behind.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Draft<A> {
    /// The packet as its receiver sees it.
    pub question: FlowKey<A>,
    /// The receiver's answer.
    pub answer: FlowKey<A>,
    /// What becomes of packets like this one.
    pub forth: Flow<A>,
    /// What becomes of the answers.
    pub back: Flow<A>,
}

#[btf_map]
pub static DRAFT4: PerCpuArray<Draft<Ip4>, 1> = PerCpuArray::new();

#[btf_map]
pub static DRAFT6: PerCpuArray<Draft<Ip6>, 1> = PerCpuArray::new();

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

/// Whether the kernel has `bpf_redirect_peer`. Frozen before the programs load, so the verifier removes the other way.
#[unsafe(no_mangle)]
pub static REDIRECT_PEER: Global<u8> = Global::new(1);
