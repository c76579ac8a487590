//! Collecting what a program writes, in bounded time and without threads.

use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::{AsFd as _, OwnedFd},
    process::{Child, ExitStatus, Output},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use crate::wait::wait_for_exit;

/// How often a program is looked at that may have ended although its output is still open: a child of it can hold it.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Reads what `child` writes until it has ended, or kills it at the deadline.
pub(super) fn collect(mut child: Child, deadline: Instant) -> Result<Output> {
    let mut stdout = Pipe::new(child.stdout.take().context("standard output")?.into())?;
    let mut stderr = Pipe::new(child.stderr.take().context("standard error")?.into())?;
    match wait(&mut child, &mut stdout, &mut stderr, deadline) {
        Ok(status) => Ok(Output { status, stdout: stdout.read, stderr: stderr.read }),
        Err(error) => {
            child.kill().and_then(|()| child.wait()).context("killing it")?;
            let wrote = [stdout.read, stderr.read].concat();
            Err(error.context(format!("killed; it had written:\n{}", String::from_utf8_lossy(&wrote))))
        }
    }
}

fn wait(child: &mut Child, stdout: &mut Pipe, stderr: &mut Pipe, deadline: Instant) -> Result<ExitStatus> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            bail!("it took too long");
        }
        if stdout.ended && stderr.ended {
            // Closing its output is the last thing most programs do.
            return wait_for_exit("its end (its output is closed)", left, || child.try_wait());
        }
        // Asked before reading: what it wrote before its end is there to be read then.
        let ended = child.try_wait().context("looking at it")?;
        if ended.is_none() {
            wait_for_output(stdout, stderr, left.min(LOOK_EVERY))?;
        }
        stdout.read_available().context("reading its output")?;
        stderr.read_available().context("reading its output")?;
        if let Some(status) = ended {
            return Ok(status);
        }
    }
}

fn wait_for_output(stdout: &Pipe, stderr: &Pipe, timeout: Duration) -> Result<()> {
    let open = [stdout, stderr].into_iter().filter(|pipe| !pipe.ended);
    let mut watched: Vec<_> = open.map(|pipe| PollFd::new(pipe.file.as_fd(), PollFlags::POLLIN)).collect();
    let timeout = PollTimeout::try_from(timeout).context("time to wait for output")?;
    poll(&mut watched, timeout).map(drop).context("waiting for output")
}

struct Pipe {
    file: File,
    read: Vec<u8>,
    ended: bool,
}

impl Pipe {
    fn new(fd: OwnedFd) -> Result<Self> {
        fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).context("making a pipe non-blocking")?;
        Ok(Self { file: fd.into(), read: Vec::new(), ended: false })
    }

    fn read_available(&mut self) -> io::Result<()> {
        let mut chunk = [0; 16 * 1024];
        while !self.ended {
            match self.file.read(&mut chunk) {
                Ok(0) => self.ended = true,
                Ok(len) => self.read.extend_from_slice(chunk.get(..len).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
