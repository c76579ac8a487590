//! The owner's side of the connection to the keeper.

use std::{
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use nix::sys::{
    socket::{AddressFamily, SockFlag, SockType, setsockopt, socketpair, sockopt::ReceiveTimeout},
    time::{TimeVal, TimeValLike as _},
};

use super::message::{Answer, MachineOrder, Request, receive_message, send_message};
use crate::{state, sys, wait::wait_for_exit};

const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// Holds a keeper. Dropping it ends the lab.
#[derive(Debug)]
pub(crate) struct KeeperLink {
    lab: String,
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    socket: OwnedFd,
    process: Child,
}

impl KeeperLink {
    /// Starts a keeper for `lab` out of `program`, the lab's binary.
    pub(crate) fn start(lab: &str, program: &Path) -> Result<Self> {
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
            .context("making a socket pair")?;
        let timeout = TimeVal::seconds(i64::try_from(ANSWERED_WITHIN.as_secs())?);
        setsockopt(&ours, ReceiveTimeout, &timeout).context("setting a receive time-out")?;
        let process = sys::command(program)
            .args(["keeper", lab])
            .stdin(theirs)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {} keeper", program.display()))?;
        let link = Self { lab: lab.to_owned(), open: Mutex::new(Some(Open { socket: ours, process })) };
        match link.answer()? {
            Answer::Done => Ok(link),
            answer => {
                // It has made nothing, and is ending.
                link.close()?;
                Err(unexpected(answer)).with_context(|| format!("starting the keeper of lab {lab}"))
            }
        }
    }

    /// Starts machines; gives the pids of their inits.
    pub(crate) fn start_machines(&self, orders: Vec<MachineOrder>) -> Result<Vec<i32>> {
        match self.ask(&Request::Start(orders))? {
            Answer::Started(pids) => Ok(pids),
            answer => Err(unexpected(answer)),
        }
    }

    /// Lets the lab live on without this process.
    pub(crate) fn detach(&self) -> Result<()> {
        match self.ask(&Request::Detach)? {
            Answer::Done => {
                self.lock().take();
                Ok(())
            }
            answer => Err(unexpected(answer)),
        }
    }

    /// Ends the lab, if that is not done yet. What a killed keeper left is removed too.
    pub(crate) fn end(&self) -> Result<()> {
        if self.lock().is_none() {
            return Ok(());
        }
        let asked = self.ask(&Request::End);
        self.close()?;
        match asked {
            Ok(Answer::Done) => Ok(()),
            Ok(answer) => Err(unexpected(answer)),
            Err(_) => state::sweep().map(drop),
        }
    }

    /// Closes the connection and waits for the end of the keeper.
    fn close(&self) -> Result<()> {
        let Some(Open { socket, mut process }) = self.lock().take() else { return Ok(()) };
        drop(socket);
        wait_for_exit("the end of the keeper", ANSWERED_WITHIN, || process.try_wait()).map(drop)
    }

    fn ask(&self, request: &Request) -> Result<Answer> {
        let open = self.lock();
        let socket = &open.as_ref().with_context(|| format!("lab {} is over", self.lab))?.socket;
        send_message(socket, request).with_context(|| format!("asking the keeper of lab {}", self.lab))?;
        self.receive(socket)
    }

    fn answer(&self) -> Result<Answer> {
        let open = self.lock();
        self.receive(&open.as_ref().with_context(|| format!("lab {} is over", self.lab))?.socket)
    }

    fn receive(&self, socket: &OwnedFd) -> Result<Answer> {
        receive_message(socket)
            .with_context(|| format!("hearing the keeper of lab {}", self.lab))?
            .with_context(|| format!("the keeper of lab {} is gone; was caracal-lab changed and not built?", self.lab))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for KeeperLink {
    fn drop(&mut self) {
        // Only if the lab did not come to life, or could not be ended: that error was or will be told.
        if let Err(error) = self.end() {
            eprintln!("ending lab {}: {error:#}", self.lab);
        }
    }
}

fn unexpected(answer: Answer) -> anyhow::Error {
    match answer {
        Answer::Failed(error) => anyhow!(error),
        Answer::Done | Answer::Started(_) => anyhow!("the keeper's answer fits no question: {answer:?}"),
    }
}
