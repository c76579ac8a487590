//! Who is behind an address that is no pod of this node.

/// Value of `PEERS4` and `PEERS6`; the key is a prefix.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// [`Peer::INSIDE`], or nothing.
    pub flags: u32,
}

impl Peer {
    /// Knows the way to pods: what pods send there is not masqueraded.
    pub const INSIDE: u32 = 1 << 0;
}

const _: () = assert!(size_of::<Peer>() == 4 && align_of::<Peer>() == 4);
