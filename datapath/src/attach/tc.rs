//! tc hooks: tcx links where the kernel has them (6.6), filters of a qdisc where it does not, or where attaching must
//! not wait.
//!
//! A tcx link costs a packet less than a filter, but the kernel answers its making and its end only after every CPU has
//! let go of the list of programs before it, some ten milliseconds during which nobody can change any link. So a pod
//! begins with a filter, and is moved to a link later (docs/decisions/004).

use std::{os::fd::AsFd, path::Path};

use aya::programs::{LinkOrder, ProgramError, SchedClassifier, TcAttach, TcAttachType, tc::SchedClassifierLink};
pub use caracal_netlink::Direction;
use caracal_netlink::{Batch, Filter, Socket};

use super::link;
use crate::{Error, Root};

/// Ours among the filters of a link; fixed, so that the filter can be found again without a record.
pub const PRIORITY: u16 = 0xca;

/// How a program is attached to a tc hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A tcx link, pinned.
    Tcx,
    /// A filter that decides by itself: goes with the interface, cannot be pinned.
    Filter,
}

fn aya_type(direction: Direction) -> TcAttachType {
    match direction {
        Direction::Ingress => TcAttachType::Ingress,
        Direction::Egress => TcAttachType::Egress,
    }
}

/// Attaches a pinned program to an interface of this network namespace, or replaces the program already there.
///
/// A tcx link that is there is kept. Else `preferred` decides; [`Method::Tcx`] takes the place of a filter, and gives way
/// to one when the kernel does not know it.
pub fn tc(root: &Root, name: &str, ifindex: u32, direction: Direction, preferred: Method) -> Result<Method, Error> {
    let mut program = SchedClassifier::from_pin(root.program(name)).map_err(Error::program(name, "open its pin"))?;
    let pin = root.link(name, ifindex);
    if replace(&mut program, name, &pin)? {
        return Ok(Method::Tcx);
    }
    let filter = Filter { index: ifindex, direction, priority: PRIORITY };
    if preferred == Method::Tcx {
        match tcx(&mut program, ifindex, direction) {
            Ok(link) => {
                link::pin(link, &pin)?;
                // Only now: no packet passes unseen. The qdisc stays: while one goes, the kernel drops what the link would
                // send, for some milliseconds.
                filter.detach(&mut Socket::open()?)?;
                return Ok(Method::Tcx);
            }
            Err(error) if is_unknown_to_kernel(&error) => {
                log::info!("no tcx here ({error}); attaching {name} to interface {ifindex} by a filter");
            }
            Err(error) => return Err(Error::program(name, "attach it by tcx")(error)),
        }
    }
    let fd = program.fd().map_err(Error::program(name, "open its pin"))?.as_fd();
    Socket::open()?.execute(&Batch::from_iter([filter.qdisc_add(), filter.attach(fd, name)]))?;
    Ok(Method::Filter)
}

/// Detaches it again, whichever way it was attached. Nothing there is success.
pub fn detach_tc(root: &Root, name: &str, ifindex: u32, direction: Direction) -> Result<(), Error> {
    if link::unpin(&root.link(name, ifindex))? {
        return Ok(());
    }
    Ok(Filter { index: ifindex, direction, priority: PRIORITY }.detach(&mut Socket::open()?)?)
}

/// Removes the pin of a link to an interface that is gone. Detaching it as well would wait for the lock that guards all
/// network configuration, for nothing.
pub fn forget_tc(root: &Root, name: &str, ifindex: u32) -> Result<(), Error> {
    link::remove_pin(&root.link(name, ifindex)).map(drop)
}

/// Puts the program behind the link that is pinned; false if there is none that works.
fn replace(program: &mut SchedClassifier, name: &str, pin: &Path) -> Result<bool, Error> {
    let existing = link::open::<SchedClassifierLink>(pin).map_err(Error::program(name, "open its link"))?;
    let Some(existing) = existing else { return Ok(false) };
    match program.attach_to_link(existing) {
        Ok(_) => Ok(true),
        Err(error) if link::is_dead(&error) => link::unpin(pin).map(|_| false),
        Err(error) => Err(Error::program(name, "replace it")(error)),
    }
}

fn tcx(program: &mut SchedClassifier, ifindex: u32, direction: Direction) -> Result<SchedClassifierLink, ProgramError> {
    // First: a program before ours could let a packet through that ours would drop.
    let attach = TcAttach::Tcx { attach_type: aya_type(direction), order: LinkOrder::first() };
    let id = program.attach(ifindex, attach)?;
    program.take_link(id)
}

fn is_unknown_to_kernel(error: &ProgramError) -> bool {
    // Before 6.6 the attach type is not a number the kernel knows.
    matches!(link::errno(error), Some(libc::EINVAL | libc::EOPNOTSUPP))
}
