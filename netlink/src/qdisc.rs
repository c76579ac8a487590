//! Which qdiscs links have, whoever made them.

use std::collections::BTreeMap;

use netlink_packet_route::{
    RouteNetlinkMessage,
    tc::{TcAttribute, TcHandle, TcMessage},
};

use super::{Error, Request, Socket};

/// What a link has that nobody queues on.
const NO_QUEUE: &str = "noqueue";

/// The qdiscs of a link, as far as they matter to packets that might go past them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Qdiscs {
    /// What the link sends waits in a queue.
    pub is_queued: bool,
    /// There is one that has room for filters of what the link receives.
    pub takes_filters: bool,
}

/// The qdiscs of all links, in one listing. A link that is not there has none.
pub fn qdiscs(socket: &mut Socket) -> Result<BTreeMap<u32, Qdiscs>, Error> {
    let mut links: BTreeMap<u32, Qdiscs> = BTreeMap::new();
    for message in list(socket, "listing the queues of all links".to_owned())? {
        let link = links.entry(message.header.index.cast_unsigned()).or_default();
        match message.header.parent {
            TcHandle::ROOT => link.is_queued = kind(&message) != NO_QUEUE,
            TcHandle::CLSACT => link.takes_filters = true,
            _ => {}
        }
    }
    Ok(links)
}

/// Whether anybody, we or others, has what a link sends wait in a queue.
pub fn is_queued(socket: &mut Socket, index: u32) -> Result<bool, Error> {
    Ok(root_qdisc(socket, index)?.is_some_and(|message| kind(&message) != NO_QUEUE))
}

/// The qdisc that what a link sends comes to first.
pub(super) fn root_qdisc(socket: &mut Socket, index: u32) -> Result<Option<TcMessage>, Error> {
    let mut listed = list(socket, format!("looking for the queue of link number {index}"))?;
    Ok(listed.find(|message| message.header.parent == TcHandle::ROOT && message.header.index == index.cast_signed()))
}

/// The name of a qdisc's kind.
pub(super) fn kind(message: &TcMessage) -> &str {
    let kind = message.attributes.iter().find_map(|attribute| match attribute {
        TcAttribute::Kind(kind) => Some(kind.as_str()),
        _ => None,
    });
    kind.unwrap_or_default()
}

/// The kernel does not list those of one link only.
fn list(socket: &mut Socket, what: String) -> Result<impl Iterator<Item = TcMessage>, Error> {
    let listed = socket.dump(Request::new(RouteNetlinkMessage::GetQueueDiscipline(TcMessage::default()), 0, what))?;
    Ok(listed.into_iter().filter_map(|message| match message {
        RouteNetlinkMessage::NewQueueDiscipline(message) => Some(message),
        _ => None,
    }))
}
