//! Programs as filters of what a link receives or sends, and the qdisc that has such filters.
//!
//! The qdiscs `ingress` and `clsact` queue nothing. Which of them is there matters to the direction only: `clsact` has a
//! place for filters on both, `ingress` on one, and a link can have one of them.

use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::{
    RouteNetlinkMessage,
    tc::{TcAttribute, TcBpfFlags, TcFilterBpf, TcFilterBpfOption, TcHandle, TcMessage, TcOption},
};
use nix::errno::Errno;

use super::{Error, Request, Socket};

/// `ETH_P_ALL`, in network byte order as the kernel wants it here.
const EVERY_PROTOCOL: u32 = 0x0003_u16.to_be() as u32;

/// Which way packets go, seen from the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// What the link receives.
    Ingress,
    /// What it sends.
    Egress,
}

/// A filter's place on its link.
#[derive(Clone, Copy, Debug)]
pub struct Filter {
    /// Number of the link.
    pub index: u32,
    /// Which packets see it.
    pub direction: Direction,
    /// Its place in the order; lower ones come first.
    pub priority: u16,
}

/// Each place has one filter of ours.
const HANDLE: TcHandle = TcHandle { major: 0, minor: 1 };

impl Filter {
    fn message(self) -> TcMessage {
        let mut message = TcMessage::with_index(self.index.cast_signed());
        let minor = match self.direction {
            Direction::Ingress => TcHandle::MIN_INGRESS,
            Direction::Egress => TcHandle::MIN_EGRESS,
        };
        message.header.parent = TcHandle { major: u16::MAX, minor };
        message.header.info = u32::from(self.priority) << 16 | EVERY_PROTOCOL;
        message.header.handle = HANDLE;
        message
    }

    fn qdisc(self) -> TcMessage {
        let kind = match self.direction {
            Direction::Ingress => "ingress",
            Direction::Egress => "clsact",
        };
        let mut message = TcMessage::with_index(self.index.cast_signed());
        message.header.parent = TcHandle::CLSACT;
        message.header.handle = TcHandle { major: u16::MAX, minor: 0 };
        message.attributes.push(TcAttribute::Kind(kind.to_owned()));
        message
    }

    fn what(self, action: &str) -> String {
        format!("{action} the program of link number {}", self.index)
    }

    /// Gives the link a qdisc with room for this filter. One that is there is as good.
    #[must_use]
    pub fn qdisc_add(self) -> Request {
        let message = self.qdisc();
        let what = format!("adding a qdisc of filters to link number {}", self.index);
        let exclusive = NLM_F_CREATE | NLM_F_EXCL;
        Request::new(RouteNetlinkMessage::NewQueueDiscipline(message), exclusive, what).or(Errno::EEXIST)
    }

    /// Attaches a program that decides by itself what becomes of a packet, or replaces the one that is there.
    #[must_use]
    pub fn attach(self, program: BorrowedFd<'_>, name: &str) -> Request {
        let mut message = self.message();
        message.attributes.push(TcAttribute::Kind(TcFilterBpf::KIND.to_owned()));
        message.attributes.push(TcAttribute::Options(vec![
            TcOption::Bpf(TcFilterBpfOption::ProgFd(program.as_raw_fd().cast_unsigned())),
            TcOption::Bpf(TcFilterBpfOption::ProgName(name.to_owned())),
            TcOption::Bpf(TcFilterBpfOption::Flags(TcBpfFlags::DirectAction)),
        ]));
        let what = self.what("attaching");
        Request::new(RouteNetlinkMessage::NewTrafficFilter(message), NLM_F_CREATE, what)
    }

    /// Takes the program off again; nothing there is success.
    pub fn detach(self, socket: &mut Socket) -> Result<(), Error> {
        let mut message = self.message();
        message.attributes.push(TcAttribute::Kind(TcFilterBpf::KIND.to_owned()));
        let what = self.what("detaching");
        match socket.call(Request::new(RouteNetlinkMessage::DelTrafficFilter(message), 0, what)) {
            Err(e) if is_absent(&e) => Ok(()),
            outcome => outcome.map(drop),
        }
    }
}

/// Whether a program looks at what a link receives, by way of a qdisc.
pub fn has_ingress_filter(socket: &mut Socket, index: u32) -> Result<bool, Error> {
    let filters = filters(socket, Filter { index, direction: Direction::Ingress, priority: 0 })?;
    Ok(filters.iter().any(is_program))
}

/// Whether filters of another priority than `own`, so somebody else's, see what a link receives, for example to shape it.
pub fn has_foreign_ingress_filter(socket: &mut Socket, index: u32, own: u16) -> Result<bool, Error> {
    let filters = filters(socket, Filter { index, direction: Direction::Ingress, priority: 0 })?;
    Ok(filters.iter().any(|message| !is_program(message) || message.header.info >> 16 != u32::from(own)))
}

fn is_program(message: &TcMessage) -> bool {
    message.attributes.contains(&TcAttribute::Kind(TcFilterBpf::KIND.to_owned()))
}

fn filters(socket: &mut Socket, place: Filter) -> Result<Vec<TcMessage>, Error> {
    let mut message = place.message();
    message.header.info = 0;
    message.header.handle = TcHandle::UNSPEC;
    let what = format!("listing filters of link number {}", place.index);
    match socket.dump(Request::new(RouteNetlinkMessage::GetTrafficFilter(message), 0, what)) {
        Ok(filters) => Ok(filters
            .into_iter()
            .filter_map(|message| match message {
                RouteNetlinkMessage::NewTrafficFilter(message) => Some(message),
                _ => None,
            })
            .collect()),
        // No qdisc, or none with filters of this direction.
        Err(e) if is_absent(&e) => Ok(Vec::new()),
        Err(e) => Err(e),
    }
}

/// No filter, no qdisc, one of another kind, no link.
fn is_absent(error: &Error) -> bool {
    [Errno::ENOENT, Errno::EINVAL, Errno::EOPNOTSUPP, Errno::ENODEV].iter().any(|errno| error.is(*errno))
}
