//! Filters of links: only whether there are any.

use netlink_packet_route::{
    RouteNetlinkMessage,
    tc::{TcAttribute, TcHandle, TcMessage},
};

use super::{Error, Request, Socket};

/// The kind of filters that are programs.
const BPF: &str = "bpf";

/// Whether a program looks at what a link receives, by way of a clsact qdisc.
pub fn has_ingress_filter(socket: &mut Socket, index: u32) -> Result<bool, Error> {
    let mut message = TcMessage::with_index(index.cast_signed());
    message.header.parent = TcHandle { major: u16::MAX, minor: TcHandle::MIN_INGRESS };
    let what = format!("listing filters of link number {index}");
    let is_bpf = |message: &RouteNetlinkMessage| match message {
        RouteNetlinkMessage::NewTrafficFilter(message) => {
            message.attributes.contains(&TcAttribute::Kind(BPF.to_owned()))
        }
        _ => false,
    };
    match socket.dump(Request::new(RouteNetlinkMessage::GetTrafficFilter(message), 0, what)) {
        Ok(filters) => Ok(filters.iter().any(is_bpf)),
        // No clsact qdisc.
        Err(e) if e.is(nix::errno::Errno::EINVAL) || e.is(nix::errno::Errno::ENOENT) => Ok(false),
        Err(e) => Err(e),
    }
}
