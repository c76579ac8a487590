//! From bytes to headers.

use crate::headers::{
    Arp, Ethernet, Icmp, Ipv4, Ipv6, Ipv6Extension, Ipv6Fragment, Nothing, Ports, Sctp, SctpChunk, Tcp, Udp, VlanTag,
};

/// A header as it lies in the packet.
///
/// # Safety
///
/// The type is `repr(C)`, has no padding, and any bytes are a value of it.
pub unsafe trait Wire: Copy {}

/// Where the bytes of a packet come from: the socket buffer's linear data in the kernel, a slice on the host.
pub trait Bytes {
    /// The header at `offset`, or `None` if not all of it is there.
    ///
    /// A reference, although headers are small: an `Option<Udp>` travels between functions squeezed into registers, and
    /// where it is `None` on BPF those hold a stale packet pointer, which the verifier sees shifted and refuses.
    fn read<T: Wire>(&self, offset: usize) -> Option<&T>;
}

/// `read!(Header, bytes, offset)`: the header, or [`TooShort`](crate::Malformed::TooShort) from the function around.
///
/// A macro because a `Result` of a reference is no longer one register.
macro_rules! read {
    ($header:ty, $bytes:expr, $offset:expr) => {
        match $bytes.read::<$header>($offset) {
            Some(header) => header,
            None => return Err($crate::Malformed::TooShort),
        }
    };
}
pub(crate) use read;

impl Bytes for [u8] {
    #[inline(always)]
    fn read<T: Wire>(&self, offset: usize) -> Option<&T> {
        const { assert!(align_of::<T>() == 1, "headers are packed everywhere but on BPF") };
        let bytes = self.get(offset..offset.checked_add(size_of::<T>())?)?;
        // SAFETY: the slice is as long as `T`, which needs no alignment, and any bytes are a `T`.
        Some(unsafe { &*bytes.as_ptr().cast::<T>() })
    }
}

macro_rules! wire {
    ($($header:ty: $size:literal),+ $(,)?) => { $(
        // SAFETY: `repr(C)` over integers and arrays of them; there is no padding, as the size is that of the fields.
        unsafe impl Wire for $header {}

        const _: () = assert!(size_of::<$header>() == $size);
    )+ };
}

wire! {
    Ethernet: 14,
    VlanTag: 4,
    Arp: 28,
    Ipv4: 20,
    Ipv6: 40,
    Ipv6Extension: 2,
    Ipv6Fragment: 8,
    Ports: 4,
    Tcp: 20,
    Udp: 8,
    Sctp: 12,
    SctpChunk: 4,
    Icmp: 8,
    Nothing: 0,
}
