//! Pinned links, of whichever kind.

use std::{fs, io, path::Path};

use aya::programs::{
    ProgramError,
    links::{FdLink, LinkError, PinnedLink},
};

use crate::{Error, sys};

/// The link pinned at `pin`, if there is one.
pub(super) fn open<L>(pin: &Path) -> Result<Option<L>, ProgramError>
where
    L: TryFrom<FdLink, Error = LinkError>,
{
    match PinnedLink::from_pin(pin) {
        Ok(pinned) => Ok(Some(L::try_from(FdLink::from(pinned))?)),
        Err(LinkError::SyscallError(e)) if e.io_error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Pins a new link.
pub(super) fn pin<L>(link: L, pin: &Path) -> Result<(), Error>
where
    L: TryInto<FdLink, Error = LinkError>,
{
    let name = || pin.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let link: FdLink = link.try_into().map_err(|e| Error::program(&name(), "pin its link")(e.into()))?;
    link.pin(pin).map_err(Error::pin(pin))?;
    Ok(())
}

/// Detaches a pinned link and removes its pin; tells whether it was there. When this returns, the hook is free.
pub fn unpin(pin: &Path) -> Result<bool, Error> {
    match sys::detach_pinned_link(pin) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        // Kernels before 5.9 cannot; there it happens some time after the pin is gone.
        Err(error) => log::debug!("{}: detaching: {error}", pin.display()),
        Ok(()) => {}
    }
    remove_pin(pin)
}

/// Removes a pin; tells whether it was there.
pub(super) fn remove_pin(pin: &Path) -> Result<bool, Error> {
    match fs::remove_file(pin) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::directory("remove the pin", pin)(error)),
    }
}

/// Whether an attempt to replace the program failed because the link's interface or cgroup is gone.
pub(super) fn is_dead(error: &ProgramError) -> bool {
    // https://github.com/torvalds/linux/blob/v6.18/kernel/bpf/tcx.c, tcx_link_update
    errno(error) == Some(libc::ENOLINK)
}

/// The system's error number, if that is what failed.
pub(super) fn errno(error: &ProgramError) -> Option<i32> {
    match error {
        ProgramError::SyscallError(e) => e.io_error.raw_os_error(),
        _ => None,
    }
}
