//! A pod on this node, as the data plane knows it.

use crate::Mac;

/// Value of `ENDPOINTS4` and `ENDPOINTS6`; the key is one of the pod's addresses.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// The host-side veth: what packets from the pod come in by, and what packets to it are redirected to.
    pub ifindex: u32,
    /// [`Endpoint::QUEUED`], [`Endpoint::BY_HOST`].
    pub flags: u32,
    /// The pod's own interface.
    pub pod_mac: Mac,
    /// The host-side veth, which the pod sees as its gateway.
    pub host_mac: Mac,
    #[doc(hidden)]
    pub _pad: u32,
}

impl Endpoint {
    /// Packets to this pod must pass the queueing discipline of its veth, so never `bpf_redirect_peer`.
    pub const QUEUED: u32 = 1 << 0;
    /// What this pod sends is judged here but leaves by the host's stack: filters behind ours shape it.
    pub const BY_HOST: u32 = 1 << 1;
}

const _: () = assert!(size_of::<Endpoint>() == 24 && align_of::<Endpoint>() == 4);
