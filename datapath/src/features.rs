//! What this kernel can do, found out by trying: distributions back-port, so a version number says little.

use std::os::fd::AsFd;

use aya::{
    maps::{HashMap, IterableMap, MapData, MapType},
    programs::{ProgramType, SchedClassifier, TcAttachType},
    sys::{BpfHelper, is_helper_supported, is_map_supported, is_program_supported},
};

use crate::{
    snippet::{EXIT, Snippet, call, mov},
    sys::{self, Cursor},
};

/// What it means for a node to lack a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importance {
    /// Without it no program of ours loads.
    Required,
    /// Without it something else is used.
    Optional,
}

/// One thing the kernel has or has not.
#[derive(Clone, Debug)]
pub struct Feature {
    /// Its name in the kernel.
    pub name: &'static str,
    /// What it is to us.
    pub importance: Importance,
    /// What is done without it.
    pub otherwise: &'static str,
    /// Whether it is there; the error if trying was not possible.
    pub found: Result<bool, String>,
}

impl Feature {
    /// Known to be there.
    #[must_use]
    pub fn is_there(&self) -> bool {
        matches!(self.found, Ok(true))
    }
}

/// The result of all probes.
#[derive(Clone, Debug)]
pub struct Features(Vec<Feature>);

const REDIRECT_PEER: &str = "bpf_redirect_peer";
const CHECKSUM_IPV6: &str = "BPF_F_IPV6";
const SOCKETS: &str = "socket address programs";

impl Features {
    /// Tries them all.
    #[must_use]
    pub fn probe() -> Self {
        use Importance::{Optional, Required};
        let tc = ProgramType::SchedClassifier;
        Self(vec![
            feature("tc programs", Required, "pods are wired by routes alone", program(tc)),
            feature("hash maps", Required, "pods are wired by routes alone", map(MapType::LruHash)),
            feature(
                "bpf_jiffies64",
                Required,
                "pods are wired by routes alone",
                helper(tc, BpfHelper::BPF_FUNC_jiffies64),
            ),
            feature("batch operations on maps", Required, "no other way to list a table of flows", batch()),
            feature("ring buffers", Required, "no map for events", map(MapType::RingBuf)),
            feature("tcx links", Optional, "filters, which another program may replace", Ok(tcx())),
            feature(
                SOCKETS,
                Optional,
                "port mappings do not answer the node itself",
                program(ProgramType::CgroupSockAddr),
            ),
            feature(
                REDIRECT_PEER,
                Optional,
                "bpf_redirect, through the receiver's queue",
                helper(tc, BpfHelper::BPF_FUNC_redirect_peer),
            ),
            feature(
                CHECKSUM_IPV6,
                Optional,
                "sums of whole packets are corrected by a call of their own",
                checksum_knows_ipv6().map_err(|e| e.to_string()),
            ),
        ])
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Feature> {
        self.0.iter()
    }

    /// What must be there and is not.
    pub fn missing(&self) -> impl Iterator<Item = &Feature> {
        self.iter().filter(|feature| feature.importance == Importance::Required && !feature.is_there())
    }

    /// Whether packets can go straight into the receiver's namespace.
    #[must_use]
    pub fn redirect_peer(&self) -> bool {
        self.has(REDIRECT_PEER)
    }

    /// Whether checksums can be told that addresses are IPv6's.
    #[must_use]
    pub fn checksum_ipv6(&self) -> bool {
        self.has(CHECKSUM_IPV6)
    }

    /// Whether sockets can be told whom to talk to.
    #[must_use]
    pub fn sockets(&self) -> bool {
        self.has(SOCKETS)
    }

    fn has(&self, name: &str) -> bool {
        self.iter().any(|feature| feature.name == name && feature.is_there())
    }

    /// As if the kernel lacked a feature, to test what is done without it.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        for feature in self.0.iter_mut().filter(|feature| feature.name == name) {
            feature.found = Ok(false);
        }
        self
    }
}

fn feature(
    name: &'static str,
    importance: Importance,
    otherwise: &'static str,
    found: Result<bool, String>,
) -> Feature {
    Feature { name, importance, otherwise, found }
}

/// Reading an empty map in one go.
fn batch() -> Result<bool, String> {
    let map = HashMap::<MapData, u32, u32>::create(1, 0).map_err(|e| e.to_string())?;
    let (mut key, mut value) = ([0_u32], [0_u32]);
    Ok(sys::lookup_batch(map.map().fd().as_fd(), &mut Cursor::default(), &mut key, &mut value).is_ok())
}

/// Making the call on an empty packet: an older kernel refuses the flag.
fn checksum_knows_ipv6() -> std::io::Result<bool> {
    const L4_CSUM_REPLACE: u64 = 11;
    const PSEUDO_HEADER: u64 = 1 << 4;
    const IPV6: u64 = 1 << 7;
    // The context is in r1 already.
    let instructions = [mov(2, 16), mov(3, 0), mov(4, 1), mov(5, PSEUDO_HEADER | IPV6), call(L4_CSUM_REPLACE), EXIT];
    Ok(Snippet::load(&instructions)?.run()? == 0)
}

/// Asking what is attached to loopback: an older kernel does not know the question.
fn tcx() -> bool {
    const LOOPBACK: u32 = 1;
    SchedClassifier::query_tcx(LOOPBACK, TcAttachType::Ingress).is_ok()
}

fn program(program: ProgramType) -> Result<bool, String> {
    is_program_supported(program).map_err(|e| e.to_string())
}

fn map(map: MapType) -> Result<bool, String> {
    is_map_supported(map).map_err(|e| e.to_string())
}

fn helper(program: ProgramType, helper: BpfHelper) -> Result<bool, String> {
    is_helper_supported(program, helper).map_err(|e| e.to_string())
}
