//! The maps. Their types are `caracal-abi`'s; user space sets the real sizes when it loads the object.

use aya_ebpf::{
    Global,
    btf_maps::{HashMap, LruHashMap, PerCpuArray},
    macros::btf_map,
};
use caracal_abi::{COUNTER_SLOTS, Counter, Endpoint, Flow, FlowKey, Ip4, Ip6};

/// Size of a flow table unless user space asks for another.
pub const FLOW_ENTRIES: usize = 65536;

#[btf_map]
pub static COUNTERS: PerCpuArray<Counter, { COUNTER_SLOTS as usize }> = PerCpuArray::new();

#[btf_map]
pub static ENDPOINTS4: HashMap<Ip4, Endpoint, 4096> = HashMap::new();

#[btf_map]
pub static ENDPOINTS6: HashMap<Ip6, Endpoint, 4096> = HashMap::new();

#[btf_map]
pub static FLOWS4: LruHashMap<FlowKey<Ip4>, Flow, FLOW_ENTRIES> = LruHashMap::new();

#[btf_map]
pub static FLOWS6: LruHashMap<FlowKey<Ip6>, Flow, FLOW_ENTRIES> = LruHashMap::new();

/// Whether the host's netfilter may translate the addresses of pods' flows: kube-proxy's services, port mappings. Frozen
/// like the next.
#[unsafe(no_mangle)]
pub static HOST_NAT: Global<u8> = Global::new(1);

/// Whether the kernel has `bpf_redirect_peer`. Frozen before the programs load, so the verifier removes the other way.
#[unsafe(no_mangle)]
pub static REDIRECT_PEER: Global<u8> = Global::new(1);
