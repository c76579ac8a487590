//! tc hooks: tcx links where the kernel has them (6.6), a clsact filter where it does not.

use std::{mem, path::Path};

use aya::programs::{
    LinkOrder, ProgramError, SchedClassifier, TcAttach, TcAttachType, TcError,
    tc::{NlOptions, SchedClassifierLink, TcHandle, qdisc_add_clsact},
};

use super::link;
use crate::{Error, Root};

/// Ours among the filters of a clsact qdisc; fixed, so that the filter can be found again without a record.
const PRIORITY: u16 = 0xca;
const HANDLE: TcHandle = TcHandle::new(0, 1);

/// Which way packets go, seen from the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// What the interface receives.
    Ingress,
    /// What it sends.
    Egress,
}

/// How a program is attached to a tc hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A tcx link, pinned.
    Tcx,
    /// A direct-action filter of a clsact qdisc: goes with the interface, cannot be pinned.
    Clsact,
}

impl From<Direction> for TcAttachType {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Ingress => Self::Ingress,
            Direction::Egress => Self::Egress,
        }
    }
}

/// Attaches a pinned program to an interface of this network namespace, or replaces the program already there.
///
/// `preferred` is tried first; [`Method::Tcx`] gives way to clsact when the kernel does not know it.
pub fn tc(root: &Root, name: &str, ifindex: u32, direction: Direction, preferred: Method) -> Result<Method, Error> {
    let mut program = SchedClassifier::from_pin(root.program(name)).map_err(Error::program(name, "open its pin"))?;
    if preferred == Method::Tcx {
        match tcx(&mut program, &root.link(name, ifindex), ifindex, direction) {
            Err(Error::Program { source, .. }) if is_unknown_to_kernel(&source) => {
                log::info!("no tcx here ({source}); attaching {name} to interface {ifindex} by clsact");
            }
            attached => return attached.map(|()| Method::Tcx),
        }
    }
    clsact(&mut program, ifindex, direction).map_err(Error::program(name, "attach it by clsact"))?;
    Ok(Method::Clsact)
}

/// Detaches it again, whichever way it was attached. Nothing there is success.
pub fn detach_tc(root: &Root, name: &str, ifindex: u32, direction: Direction) -> Result<(), Error> {
    if link::unpin(&root.link(name, ifindex))? {
        return Ok(());
    }
    let attached = filter(ifindex, direction).map_err(Error::program(name, "name its filter"))?;
    match aya::programs::Link::detach(attached) {
        Ok(()) => Ok(()),
        Err(ProgramError::NetlinkError(e)) if is_absent(e.raw_os_error()) => Ok(()),
        Err(error) => Err(Error::program(name, "remove its filter")(error)),
    }
}

fn tcx(program: &mut SchedClassifier, pin: &Path, ifindex: u32, direction: Direction) -> Result<(), Error> {
    let name = || pin.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let existing = link::open::<SchedClassifierLink>(pin).map_err(|e| Error::program(&name(), "open its link")(e))?;
    if let Some(existing) = existing {
        match program.attach_to_link(existing) {
            Ok(_) => return Ok(()),
            Err(error) if link::is_dead(&error) => link::unpin(pin)?,
            Err(error) => return Err(Error::program(&name(), "replace it")(error)),
        };
    }
    // First: a program before ours could let a packet through that ours would drop.
    let attach = TcAttach::Tcx { attach_type: direction.into(), order: LinkOrder::first() };
    let link = program.attach(ifindex, attach).and_then(|id| program.take_link(id));
    link::pin(link.map_err(|e| Error::program(&name(), "attach it by tcx")(e))?, pin)
}

fn clsact(program: &mut SchedClassifier, ifindex: u32, direction: Direction) -> Result<(), ProgramError> {
    match qdisc_add_clsact(ifindex) {
        Err(TcError::NetlinkError(e)) if e.raw_os_error() == Some(libc::EEXIST) => {}
        added => added?,
    }
    let parent = TcAttachType::from(direction).into();
    let options = NlOptions { priority: PRIORITY, handle: HANDLE, ..NlOptions::default() };
    let id = match program.attach(ifindex, TcAttach::Netlink { parent, options }) {
        Err(ProgramError::TcError(TcError::NetlinkError(e))) if e.raw_os_error() == Some(libc::EEXIST) => {
            program.attach_to_link(filter(ifindex, direction)?)?
        }
        attached => attached?,
    };
    // Dropped, it would take the filter away again.
    mem::forget(program.take_link(id)?);
    Ok(())
}

fn filter(ifindex: u32, direction: Direction) -> Result<SchedClassifierLink, ProgramError> {
    let parent = TcAttachType::from(direction).into();
    Ok(SchedClassifierLink::attached(ifindex, parent, PRIORITY, HANDLE, None)?)
}

fn is_unknown_to_kernel(error: &ProgramError) -> bool {
    // Before 6.6 the attach type is not a number the kernel knows.
    matches!(link::errno(error), Some(libc::EINVAL | libc::EOPNOTSUPP))
}

fn is_absent(errno: Option<i32>) -> bool {
    // No filter, no clsact qdisc, no interface.
    matches!(errno, Some(libc::ENOENT | libc::EINVAL | libc::ENODEV))
}
