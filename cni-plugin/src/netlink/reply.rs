//! What the kernel sends back: datagrams of messages, some of them verdicts.

use netlink_packet_core::{
    NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP, NetlinkBuffer,
    NetlinkDeserializable, NetlinkHeader, NlaBuffer, NlasIterator, Parseable,
};
use netlink_packet_route::RouteNetlinkMessage;

const NLMSGERR_ATTR_MSG: u16 = 1;
const HEADER_LEN: usize = 16;

/// One message of the kernel's.
#[derive(Debug)]
pub(super) struct Reply {
    /// The number of the request it answers.
    pub(super) sequence: u32,
    /// What a dump lists changed meanwhile, so the dump may have missed something.
    pub(super) interrupted: bool,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    /// Success or the end of a dump with 0, else a failure with its (positive) number and perhaps a reason.
    Verdict { errno: i32, hint: String },
    /// What was asked for.
    Message(Box<RouteNetlinkMessage>),
}

/// The messages of a datagram.
pub(super) fn parse(mut datagram: &[u8]) -> Result<Vec<Reply>, String> {
    let mut replies = Vec::new();
    while !datagram.is_empty() {
        let buffer = NetlinkBuffer::new_checked(datagram).map_err(|e| e.to_string())?;
        let header = NetlinkHeader::parse(&buffer).map_err(|e| e.to_string())?;
        let payload = buffer.payload();
        let content = match header.message_type {
            NLMSG_NOOP => None,
            NLMSG_ERROR | NLMSG_DONE => Some(verdict(&header, payload)),
            _ => {
                let message = RouteNetlinkMessage::deserialize(&header, payload).map_err(|e| e.to_string())?;
                Some(Content::Message(Box::new(message)))
            }
        };
        replies.extend(content.map(|content| Reply {
            sequence: header.sequence_number,
            interrupted: header.flags & NLM_F_DUMP_INTR != 0,
            content,
        }));
        let length = (header.length as usize).next_multiple_of(4);
        datagram = datagram.get(length..).unwrap_or_default();
    }
    Ok(replies)
}

/// Reads `struct nlmsgerr` and the attributes behind it. They come after the request, which is there in full if
/// the request failed and was not capped. `NLMSG_DONE` has the number alone.
fn verdict(header: &NetlinkHeader, payload: &[u8]) -> Content {
    let code = payload.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
    let request = payload.get(4..).unwrap_or_default();
    let request_len = if code == 0 || header.flags & NLM_F_CAPPED != 0 {
        HEADER_LEN
    } else {
        request.first_chunk().map_or(HEADER_LEN, |bytes| u32::from_ne_bytes(*bytes) as usize).next_multiple_of(4)
    };
    let has_attributes = header.message_type == NLMSG_ERROR && header.flags & NLM_F_ACK_TLVS != 0;
    let attributes = if has_attributes { request.get(request_len..).unwrap_or_default() } else { &[] };
    let is_text = |attribute: &NlaBuffer<&[u8]>| attribute.kind() == NLMSGERR_ATTR_MSG;
    let text = NlasIterator::new(attributes).filter_map(Result::ok).find(is_text);
    let hint = text.map(|text| String::from_utf8_lossy(text.value()).trim_end_matches('\0').to_owned());
    Content::Verdict { errno: -code, hint: hint.unwrap_or_default() }
}
