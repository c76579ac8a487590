//! Why a packet is not understood.

/// What is wrong with a packet's headers.
///
/// Eight bytes wide on purpose: in a `Result` it lies over the first bytes of a packet's key, and the compiler copies
/// what is beside it apart from the rest. A byte would leave pieces of odd length and alignment, copied bytewise.
#[repr(u64)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The data ends before the headers do. More of the packet may lie outside the linear data: pull it and ask again.
    TooShort,
    /// ARP for something else than IPv4 over Ethernet.
    ArpFormat,
    /// The IP version is not the one the `EtherType` announces.
    Version,
    /// The IPv4 header length is less than the fixed part.
    HeaderLength,
    /// The datagram's own length leaves no room for the headers it has.
    Length,
    /// More than [`MAX_EXTENSIONS`](crate::MAX_EXTENSIONS) IPv6 extension headers, or longer ones than fit in any
    /// linear data.
    TooManyExtensions,
    /// A second IPv6 fragment header.
    NestedFragment,
    /// The transport header is not whole in the first fragment, or a later fragment would overwrite part of it.
    SplitHeader,
    /// A fragment that reaches past the longest possible datagram.
    FragmentTooLong,
    /// The TCP data offset is less than the fixed part of the header.
    TcpDataOffset,
    /// The UDP length is less than the header.
    UdpLength,
}
