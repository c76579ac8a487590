//! Links that go without anybody waiting for the kernel to be done with them.
//!
//! A deleted link is out of sight within a millisecond or two, but the request is answered only when every CPU is known
//! to have let go of it, ten times as late. Nobody needs that answer: from the moment its name is gone, a link can
//! neither be found nor used. So a child process makes the request, and the parent goes on when it sees the names gone.
//! The child needs no help from then on; nothing ends it before the kernel has finished.

use std::{thread, time::Duration};

use nix::{errno::Errno, net::if_::if_nametoindex};

use crate::{Error, Link, Socket, link_delete, netns::Netns, sys::Child};

/// How long to wait between two looks: at first, and at most. Dozens may wait for their turn at once, and while they look
/// whoever has the turn cannot work.
const LOOK_AGAIN: Duration = Duration::from_micros(100);
const LOOK_LATER: Duration = Duration::from_millis(5);

/// The other end of a veth, which goes with the link: its namespace and its name there.
#[derive(Clone, Copy, Debug)]
pub struct OtherEnd<'a> {
    /// Where it is.
    pub netns: &'a Netns,
    /// What it is called.
    pub ifname: &'a str,
}

/// Deletes `link`, of this network namespace. When this returns, neither it nor its other end can be seen any more.
/// One that was gone already is success.
pub fn delete(link: &Link, other_end: Option<OtherEnd<'_>>) -> Result<(), Error> {
    let what = || format!("deleting link {}", link.name);
    let child = Child::start(|| request(link.index)).map_err(Error::new(what()))?;
    let mut pause = LOOK_AGAIN;
    loop {
        if !is_visible(link) && !other_end.is_some_and(|end| end.is_visible()) {
            return Ok(());
        }
        match child.outcome() {
            None => wait(&mut pause),
            Some(Err(e)) if e.raw_os_error() != Some(Errno::ENODEV as i32) => return Err(Error::new(what())(e)),
            Some(_) => return Ok(()),
        }
    }
}

fn request(index: u32) -> Result<(), i32> {
    let deleted = Socket::open().and_then(|mut socket| socket.call(link_delete(index)));
    deleted.map(drop).map_err(|e| e.source.raw_os_error().unwrap_or(Errno::EIO as i32))
}

fn is_visible(link: &Link) -> bool {
    if_nametoindex(link.name.as_str()) == Ok(link.index)
}

impl OtherEnd<'_> {
    fn is_visible(&self) -> bool {
        // A namespace that cannot be entered any more has no links.
        self.netns.run(|| if_nametoindex(self.ifname).is_ok()).unwrap_or(false)
    }
}

#[expect(clippy::disallowed_methods, reason = "the kernel does not tell when")]
fn wait(pause: &mut Duration) {
    thread::sleep(*pause);
    *pause = (*pause * 5 / 4).min(LOOK_LATER);
}
