//! Limits of what a link sends: the token bucket qdisc.

use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_REPLACE, Nla as _, NlasIterator};
use netlink_packet_route::{
    RouteNetlinkMessage,
    tc::{TcAttribute, TcHandle, TcMessage, TcOption},
};
use nix::errno::Errno;

use super::{
    Error, Request, Socket,
    qdisc::{kind, root_qdisc},
};

const KIND: &str = "tbf";
/// The handle by which a bucket is known to be ours.
const HANDLE: TcHandle = TcHandle { major: 0xcaca, minor: 0 };

// include/uapi/linux/pkt_sched.h
const TCA_TBF_PARAMETERS: u16 = 1;
const TCA_TBF_RATE64: u16 = 4;
const TCA_TBF_BURST: u16 = 6;
const LINK_LAYER_ETHERNET: u8 = 1;

/// How long a packet waits at most before the queue is full.
const LATENCY_MS: u64 = 25;

/// A limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Sustained.
    pub bytes_per_second: u64,
    /// What may go at once after a pause.
    pub burst_bytes: u32,
}

impl Limit {
    /// Makes a link send no faster than this, whatever limit it had before.
    #[must_use]
    pub fn set(self, index: u32) -> Request {
        let mut message = root(index);
        message.header.handle = HANDLE;
        message.attributes.push(TcAttribute::Kind(KIND.to_owned()));
        let option = |kind, value| TcOption::Other(DefaultNla::new(kind, value));
        message.attributes.push(TcAttribute::Options(vec![
            option(TCA_TBF_PARAMETERS, self.parameters()),
            option(TCA_TBF_RATE64, self.bytes_per_second.to_ne_bytes().to_vec()),
            option(TCA_TBF_BURST, self.burst_bytes.to_ne_bytes().to_vec()),
        ]));
        let what = format!("limiting what link number {index} sends");
        Request::new(RouteNetlinkMessage::NewQueueDiscipline(message), NLM_F_CREATE | NLM_F_REPLACE, what)
    }

    /// `struct tc_tbf_qopt`: rate, peak rate (none), queue limit, bucket in ticks (the attribute in bytes counts), MTU.
    fn parameters(self) -> Vec<u8> {
        let rate = u32::try_from(self.bytes_per_second).unwrap_or(u32::MAX);
        let queue_bytes = self.bytes_per_second.saturating_mul(LATENCY_MS) / 1000 + u64::from(self.burst_bytes);
        let queue_bytes = u32::try_from(queue_bytes).unwrap_or(u32::MAX);
        let mut bytes = vec![0, LINK_LAYER_ETHERNET, 0, 0, 0, 0, 0, 0];
        bytes.extend(rate.to_ne_bytes());
        bytes.extend([0; 12]);
        bytes.extend(queue_bytes.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes
    }
}

/// Lifts the limit that [`Limit::set`] put on a link; none there, or another's, is left alone.
pub fn unlimit(socket: &mut Socket, index: u32) -> Result<(), Error> {
    let found = root_qdisc(socket, index)?;
    if !found.is_some_and(|message| kind(&message) == KIND && message.header.handle == HANDLE) {
        return Ok(());
    }
    let what = format!("lifting the limit of link number {index}");
    match socket.call(Request::new(RouteNetlinkMessage::DelQueueDiscipline(root(index)), 0, what)) {
        Err(e) if [Errno::ENOENT, Errno::ENODEV].iter().any(|errno| e.is(*errno)) => Ok(()),
        outcome => outcome.map(drop),
    }
}

/// The limit that is on a link by [`Limit::set`].
pub fn limit_of(socket: &mut Socket, index: u32) -> Result<Option<Limit>, Error> {
    let Some(message) = root_qdisc(socket, index)?.filter(|message| message.header.handle == HANDLE) else {
        return Ok(None);
    };
    Ok(message.attributes.iter().find_map(|attribute| match attribute {
        TcAttribute::Options(options) => read(options),
        _ => None,
    }))
}

fn read(options: &[TcOption]) -> Option<Limit> {
    // The crate does not know this qdisc's options and keeps them in one piece.
    let nested = options.iter().find_map(|option| match option {
        TcOption::Other(nla) => {
            let mut bytes = vec![0; nla.value_len()];
            nla.emit_value(&mut bytes);
            Some(bytes)
        }
        _ => None,
    })?;
    let value = |wanted: u16| {
        let mut options = NlasIterator::new(nested.as_slice()).filter_map(Result::ok);
        options.find(|option| option.kind() == wanted).map(|option| option.value().to_vec())
    };
    let parameters = value(TCA_TBF_PARAMETERS)?;
    let rate32 = u64::from(u32::from_ne_bytes(parameters.get(8..12)?.try_into().ok()?));
    // Told only where 32 bits are too few.
    let rate64 = value(TCA_TBF_RATE64).and_then(|bytes| bytes.try_into().ok()).map(u64::from_ne_bytes);
    let ticks = u32::from_ne_bytes(parameters.get(28..32)?.try_into().ok()?);
    let bytes_per_second = rate64.unwrap_or(rate32);
    // A tick is 64 ns (net/pkt_sched.h, PSCHED_SHIFT): so many bytes go in that time.
    let burst = u128::from(ticks) * 64 * u128::from(bytes_per_second) / 1_000_000_000;
    Some(Limit { bytes_per_second, burst_bytes: u32::try_from(burst).unwrap_or(u32::MAX) })
}

fn root(index: u32) -> TcMessage {
    let mut message = TcMessage::with_index(index.cast_signed());
    message.header.parent = TcHandle::ROOT;
    message
}
