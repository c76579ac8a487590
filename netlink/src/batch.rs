//! Changes to be made with one system call.

use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST, NetlinkMessage};
use netlink_packet_route::RouteNetlinkMessage;
use nix::errno::Errno;

/// A request to the kernel.
#[derive(Clone, Debug)]
pub struct Request {
    pub(super) message: RouteNetlinkMessage,
    pub(super) flags: u16,
    /// For errors: what this asks for.
    pub(super) what: String,
    /// The answer that counts as success as well.
    pub(super) tolerated: Option<Errno>,
}

impl Request {
    pub(super) fn new(message: RouteNetlinkMessage, flags: u16, what: String) -> Self {
        Self { message, flags, what, tolerated: None }
    }

    /// The same request, content with `errno` for an answer.
    #[must_use]
    pub fn or(self, errno: Errno) -> Self {
        Self { tolerated: Some(errno), ..self }
    }
}

/// Requests that go to the kernel together and are worked on in order.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(super) requests: Vec<Request>,
}

impl Batch {
    /// Adds a request to the end.
    pub fn push(&mut self, request: Request) {
        self.requests.push(request);
    }

    /// How many requests it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// The bytes to send. Numbers go up from `sequence`; only the last request is acknowledged, the others only
    /// answered when they fail.
    pub(super) fn serialize(&self, sequence: u32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128 * self.requests.len());
        for (number, request) in (sequence..).zip(&self.requests) {
            let is_last = number - sequence + 1 == u32::try_from(self.requests.len()).unwrap_or(u32::MAX);
            let mut message = NetlinkMessage::from(request.message.clone());
            message.header.flags = NLM_F_REQUEST | request.flags | if is_last { NLM_F_ACK } else { 0 };
            message.header.sequence_number = number;
            message.finalize();
            let start = bytes.len();
            bytes.resize(start + message.buffer_len().next_multiple_of(4), 0);
            message.serialize(&mut bytes[start..]);
        }
        bytes
    }
}

impl Extend<Request> for Batch {
    fn extend<T: IntoIterator<Item = Request>>(&mut self, requests: T) {
        self.requests.extend(requests);
    }
}

impl FromIterator<Request> for Batch {
    fn from_iter<T: IntoIterator<Item = Request>>(requests: T) -> Self {
        Self { requests: requests.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::link::{LinkAttribute, LinkMessage};

    use super::*;

    #[test]
    fn requests_are_numbered_and_the_last_is_acknowledged() {
        let request = |name: &str| {
            let mut message = LinkMessage::default();
            message.attributes.push(LinkAttribute::IfName(name.to_owned()));
            Request::new(RouteNetlinkMessage::GetLink(message), 0, String::new())
        };
        let bytes = Batch::from_iter([request("a"), request("four5"), request("c")]).serialize(7);
        let mut rest = bytes.as_slice();
        let mut seen = Vec::new();
        while !rest.is_empty() {
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).unwrap();
            seen.push((message.header.sequence_number, message.header.flags));
            rest = &rest[(message.header.length as usize).next_multiple_of(4)..];
        }
        assert_eq!(seen, [(7, NLM_F_REQUEST), (8, NLM_F_REQUEST), (9, NLM_F_REQUEST | NLM_F_ACK)]);
    }
}
