//! Limits on a pod's link, whoever made it.

use super::Bandwidth;
use crate::{
    Error,
    netlink::{Batch, Limit, Socket, limit_of, link_by_name, unlimit},
    netns::Netns,
};

/// One end of a link.
struct End<'a> {
    name: &'a str,
    socket: Socket,
    index: u32,
    wanted: Option<Limit>,
}

/// The two ends of a pod's link and what each is to be limited to. The pod's end can be gone with its namespace.
pub struct PodLink<'a> {
    host: End<'a>,
    pod: Option<End<'a>>,
}

impl<'a> PodLink<'a> {
    /// The link numbered `host_index` here, and called `ifname` in the pod's namespace.
    pub fn open(
        host_index: u32,
        netns: Option<&Netns>,
        ifname: &'a str,
        bandwidth: &Bandwidth,
        mtu: u32,
    ) -> Result<Self, Error> {
        let limit = |rate: Option<super::Rate>| rate.map(|rate| rate.limit(mtu));
        let host = End {
            name: "the host's end",
            socket: Socket::open()?,
            index: host_index,
            wanted: limit(bandwidth.ingress),
        };
        let Some(netns) = netns else { return Ok(Self { host, pod: None }) };
        let mut socket = netns.run(Socket::open)??;
        let pod = link_by_name(&mut socket, ifname)?;
        let pod = pod.map(|link| End { name: ifname, socket, index: link.index, wanted: limit(bandwidth.egress) });
        Ok(Self { host, pod })
    }

    /// Makes the limits what they are to be; tells whether any was different. Queues of others stay where none is wanted.
    pub fn apply(&mut self) -> Result<bool, Error> {
        let mut changed = false;
        for end in self.ends() {
            let found = limit_of(&mut end.socket, end.index)?;
            if found.map(|limit| limit.bytes_per_second) == end.wanted.map(|limit| limit.bytes_per_second) {
                continue;
            }
            changed = true;
            match end.wanted {
                Some(limit) => drop(end.socket.execute(&Batch::from_iter([limit.set(end.index)]))?),
                None => unlimit(&mut end.socket, end.index)?,
            }
        }
        Ok(changed)
    }

    /// What is different from what it is to be, in words. Limits that nobody wants are others'.
    pub fn difference(&mut self) -> Result<Option<String>, Error> {
        for end in self.ends() {
            let Some(wanted) = end.wanted else { continue };
            let rate = |limit: Limit| limit.bytes_per_second;
            let found = limit_of(&mut end.socket, end.index)?.map(rate);
            if found != Some(rate(wanted)) {
                let text = |rate: Option<u64>| {
                    rate.map_or("not limited".to_owned(), |rate| format!("limited to {rate} byte/s"))
                };
                return Ok(Some(format!("{} is {}, was {}", end.name, text(found), text(Some(rate(wanted))))));
            }
        }
        Ok(None)
    }

    fn ends(&mut self) -> impl Iterator<Item = &mut End<'a>> {
        std::iter::once(&mut self.host).chain(self.pod.as_mut())
    }
}
