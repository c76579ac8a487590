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

/// Reads `struct nlmsgerr` and the attributes behind it. They come after the request, which is there in full if the
/// request failed and was not capped. `NLMSG_DONE` has the number alone.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A netlink message.
    fn message(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(HEADER_LEN + payload.len()).unwrap();
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend(0u32.to_ne_bytes());
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + value.len()).unwrap();
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn failure(request: &[u8], attributes: &[u8]) -> Vec<u8> {
        [&(-17i32).to_ne_bytes(), request, attributes].concat()
    }

    fn verdicts(datagram: &[u8]) -> Vec<(u32, i32, String)> {
        let replies = parse(datagram).unwrap().into_iter();
        let verdict = |reply: Reply| match reply.content {
            Content::Verdict { errno, hint } => (reply.sequence, errno, hint),
            Content::Message(message) => panic!("{message:?}"),
        };
        replies.map(verdict).collect()
    }

    #[test]
    fn the_reason_comes_after_the_request_whole_or_capped() {
        let request = message(16, 1, 5, &[1, 2, 3, 4, 5]);
        let reason = [attribute(2, &[0; 4]), attribute(NLMSGERR_ATTR_MSG, b"no such thing\0")].concat();
        let whole = message(NLMSG_ERROR, NLM_F_ACK_TLVS, 5, &failure(&request, &reason));
        let capped = message(NLMSG_ERROR, NLM_F_ACK_TLVS | NLM_F_CAPPED, 6, &failure(&request[..HEADER_LEN], &reason));
        let bare = message(NLMSG_ERROR, 0, 7, &failure(&request, &reason));
        let said = "no such thing".to_owned();
        let expected = [(5, 17, said.clone()), (6, 17, said), (7, 17, String::new())];
        assert_eq!(verdicts(&[whole, capped, bare].concat()), expected);
    }

    #[test]
    fn success_and_the_end_of_a_dump_are_verdicts_too() {
        let ack = message(NLMSG_ERROR, NLM_F_CAPPED, 1, &[[0; 4].as_slice(), &message(16, 0, 1, &[])].concat());
        let done = message(NLMSG_DONE, NLM_F_DUMP_INTR, 2, &[0; 4]);
        let noop = message(NLMSG_NOOP, 0, 3, &[]);
        let datagram = [ack, noop, done].concat();
        assert_eq!(verdicts(&datagram), [(1, 0, String::new()), (2, 0, String::new())]);
        let interrupted: Vec<_> = parse(&datagram).unwrap().iter().map(|reply| reply.interrupted).collect();
        assert_eq!(interrupted, [false, true]);
    }

    #[test]
    fn what_is_cut_short_is_refused_and_never_a_panic() {
        let whole = message(NLMSG_ERROR, NLM_F_ACK_TLVS, 5, &failure(&message(16, 1, 5, &[]), &attribute(1, b"x")));
        for length in 1..whole.len() {
            assert!(parse(&whole[..length]).is_err(), "{length}");
        }
        // A verdict whose inside is cut short is still one.
        let inside = failure(&message(16, 1, 5, &[]), &[]);
        for length in 0..inside.len() {
            assert_eq!(parse(&message(NLMSG_ERROR, NLM_F_ACK_TLVS, 5, &inside[..length])).unwrap().len(), 1);
        }
    }
}
