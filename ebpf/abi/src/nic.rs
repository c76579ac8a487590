//! A NIC of the node, as the data plane knows it.

use crate::{Ip4, Ip6};

/// Value of `NICS`; the key is the interface.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nic {
    /// Whom packets that are masqueraded and leave here seem to come from; unspecified if the NIC has no IPv4 address.
    pub source4: Ip4,
    #[doc(hidden)]
    pub _pad: u32,
    /// The same for IPv6.
    pub source6: Ip6,
}

const _: () = assert!(size_of::<Nic>() == 24 && align_of::<Nic>() == 8);
