//! The socket: requests out, replies in.

use std::io;

use netlink_packet_core::NLM_F_DUMP;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{SocketAddr, protocols::NETLINK_ROUTE};

use super::{
    Batch, Error, Request,
    reply::{self, Content, Reply},
};

/// Larger than any datagram the kernel sends without being asked for larger ones.
const BUFFER_LEN: usize = 32 * 1024;

/// How often a dump is begun anew because something changed meanwhile.
const DUMP_ATTEMPTS: u32 = 20;

/// What came back for a batch.
#[derive(Debug, Default)]
struct Answer {
    messages: Vec<RouteNetlinkMessage>,
    tolerated: Vec<usize>,
}

/// A listing as it comes in.
#[derive(Debug)]
struct Dump {
    number: u32,
    messages: Vec<RouteNetlinkMessage>,
    /// Nothing changed while it was made.
    whole: bool,
}

impl Dump {
    fn new(number: u32) -> Self {
        Self { number, messages: Vec::new(), whole: true }
    }

    /// Takes one reply; error number and reason if it was the last.
    fn take(&mut self, reply: Reply) -> Option<(i32, String)> {
        let Reply { sequence, interrupted, content } = reply;
        if sequence != self.number {
            return None;
        }
        // The kernel marks some message of the dump, or only the one that ends it.
        self.whole &= !interrupted;
        match content {
            Content::Message(message) => {
                self.messages.push(*message);
                None
            }
            Content::Verdict { errno, hint } => Some((errno, hint)),
        }
    }
}

/// A socket of one network namespace.
#[derive(Debug)]
pub struct Socket {
    inner: netlink_sys::Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens a socket in the network namespace of the calling thread.
    pub fn open() -> Result<Self, Error> {
        let open = || {
            let socket = netlink_sys::Socket::new(NETLINK_ROUTE)?;
            socket.set_ext_ack(true)?;
            // Without it the kernel ignores what it does not understand of a filter, and lists everything.
            socket.set_netlink_get_strict_chk(true)?;
            Ok(socket)
        };
        let socket = open().map_err(Error::new("opening a netlink socket"))?;
        Ok(Self { inner: socket, sequence: 1, buffer: vec![0; BUFFER_LEN] })
    }

    /// Makes all changes of `batch`, and gives the positions of those whose failure was tolerated. The error is that of
    /// the first one that failed.
    pub fn execute(&mut self, batch: &Batch) -> Result<Vec<usize>, Error> {
        Ok(self.request(batch)?.tolerated)
    }

    /// Makes one request and gives the messages it is answered with.
    pub fn call(&mut self, request: Request) -> Result<Vec<RouteNetlinkMessage>, Error> {
        Ok(self.request(&Batch::from_iter([request]))?.messages)
    }

    fn request(&mut self, batch: &Batch) -> Result<Answer, Error> {
        let mut answer = Answer::default();
        let Some(last) = batch.requests.len().checked_sub(1) else { return Ok(answer) };
        let what = &batch.requests[last].what;
        let first = self.send(batch, what)?;
        let mut failure = None;
        loop {
            for Reply { sequence, content, .. } in self.receive(what)? {
                let index = sequence.wrapping_sub(first) as usize;
                // Not an answer to this batch: left over from one that was given up.
                let Some(request) = batch.requests.get(index) else { continue };
                let (errno, hint) = match content {
                    Content::Message(message) => {
                        answer.messages.push(*message);
                        continue;
                    }
                    Content::Verdict { errno, hint } => (errno, hint),
                };
                if request.tolerated.is_some_and(|tolerated| tolerated as i32 == errno) {
                    answer.tolerated.push(index);
                } else if errno != 0 {
                    let source = io::Error::from_raw_os_error(errno);
                    failure = failure.or(Some(Error { what: request.what.clone(), source, hint }));
                }
                if index == last {
                    return failure.map_or(Ok(answer), Err);
                }
            }
        }
    }

    /// Lists what `request` asks for, all of it from one moment.
    pub fn dump(&mut self, mut request: Request) -> Result<Vec<RouteNetlinkMessage>, Error> {
        request.flags |= NLM_F_DUMP;
        let what = request.what.clone();
        let batch = Batch::from_iter([request]);
        for _ in 0..DUMP_ATTEMPTS {
            if let Some(messages) = self.dump_once(&batch, &what)? {
                return Ok(messages);
            }
        }
        Err(Error::new(what)(io::Error::new(io::ErrorKind::Interrupted, "it kept changing while it was listed")))
    }

    /// One attempt; `None` if it was interrupted by a change.
    fn dump_once(&mut self, batch: &Batch, what: &str) -> Result<Option<Vec<RouteNetlinkMessage>>, Error> {
        let mut dump = Dump::new(self.send(batch, what)?);
        loop {
            for reply in self.receive(what)? {
                match dump.take(reply) {
                    None => {}
                    Some((0, _)) => return Ok(dump.whole.then_some(dump.messages)),
                    Some((errno, hint)) => {
                        return Err(Error { what: what.to_owned(), source: io::Error::from_raw_os_error(errno), hint });
                    }
                }
            }
        }
    }

    /// Sends `batch` and gives the number of its first request.
    fn send(&mut self, batch: &Batch, what: &str) -> Result<u32, Error> {
        let first = self.sequence;
        self.sequence = first.wrapping_add(u32::try_from(batch.requests.len()).unwrap_or(u32::MAX));
        let bytes = batch.serialize(first);
        let sent = retry(|| self.inner.send_to(&bytes, &SocketAddr::new(0, 0), 0)).map_err(Error::new(what))?;
        if sent == bytes.len() { Ok(first) } else { Err(Error::malformed(what, &"sent only in part")) }
    }

    fn receive(&mut self, what: &str) -> Result<Vec<Reply>, Error> {
        loop {
            let received = retry(|| {
                let mut room = self.buffer.as_mut_slice();
                self.inner.recv_from(&mut room, nix::libc::MSG_TRUNC)
            });
            let (length, from) = received.map_err(Error::new(what))?;
            // Other processes can send to this socket too.
            if from.port_number() == 0 {
                let datagram = self.buffer.get(..length);
                let datagram = datagram.ok_or_else(|| Error::malformed(what, &"the answer is too long"))?;
                return reply::parse(datagram).map_err(|e| Error::malformed(what, &e));
            }
        }
    }
}

fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::link::LinkMessage;

    use super::*;

    fn link(sequence: u32, interrupted: bool) -> Reply {
        let message = RouteNetlinkMessage::NewLink(LinkMessage::default());
        Reply { sequence, interrupted, content: Content::Message(Box::new(message)) }
    }

    fn end(sequence: u32, interrupted: bool, errno: i32) -> Reply {
        Reply { sequence, interrupted, content: Content::Verdict { errno, hint: String::new() } }
    }

    #[test]
    fn a_dump_is_whole_only_if_nothing_of_it_was_interrupted() {
        for (during, at_end) in [(false, false), (true, false), (false, true)] {
            let mut dump = Dump::new(7);
            assert_eq!(dump.take(link(7, false)), None);
            assert_eq!(dump.take(link(7, during)), None);
            assert_eq!(dump.take(end(7, at_end, 0)), Some((0, String::new())));
            assert_eq!((dump.whole, dump.messages.len()), (!during && !at_end, 2));
        }
    }

    #[test]
    fn a_dump_ends_with_its_own_verdict() {
        let mut dump = Dump::new(7);
        assert_eq!(dump.take(link(6, true)), None);
        assert_eq!(dump.take(end(6, false, 0)), None);
        assert_eq!(dump.take(end(7, false, 1)), Some((1, String::new())));
        assert_eq!((dump.whole, dump.messages.len()), (true, 0));
    }
}
