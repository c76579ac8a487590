//! How one network namespace numbers others.

use std::os::fd::{AsFd, AsRawFd};

use netlink_packet_route::{
    RouteNetlinkMessage,
    nsid::{NsidAttribute, NsidMessage},
};

use super::{Error, Request, Socket};

/// The number that the socket's namespace has for another one; none if it has had no reason to give it one.
pub fn nsid_of(socket: &mut Socket, netns: &impl AsFd) -> Result<Option<i32>, Error> {
    let mut message = NsidMessage::default();
    // The kernel reads a positive number, which a descriptor is.
    message.attributes.push(NsidAttribute::Fd(netns.as_fd().as_raw_fd().unsigned_abs()));
    let what = "asking for the number of a network namespace".to_owned();
    let messages = socket.call(Request::new(RouteNetlinkMessage::GetNsId(message), 0, what))?;
    let ids = messages.iter().filter_map(|message| match message {
        RouteNetlinkMessage::NewNsId(message) => Some(&message.attributes),
        _ => None,
    });
    let id = ids.flatten().find_map(|attribute| match attribute {
        NsidAttribute::Id(id) => Some(*id),
        _ => None,
    });
    Ok(id.filter(|id| *id >= 0))
}
