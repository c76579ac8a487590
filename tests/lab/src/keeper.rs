//! The keeper: a process of its own that holds a lab and ends it when its owner is gone.
//!
//! The owner (a test, or `caracal-lab up`) holds one end of a socket pair, the keeper the other. However the owner
//! ends, the kernel closes its end, and the keeper kills the inits of all machines, waits for them, and removes the
//! lab's cgroups and its directory. It runs in a session of its own, so that ctrl-C on a terminal does not reach it
//! before it has done so. Inits die with the keeper (see [`crate::init`]); what remains then is two empty directories,
//! which the next lab sweeps.
//!
//! It has one thread, on which "die with the parent" of its children depends.

pub(crate) mod link;
pub(crate) mod message;

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::process::CommandExt as _,
    },
    process::{Child, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CloneFlags, setns, unshare},
    sys::{
        signal::{SigSet, Signal},
        signalfd::SignalFd,
    },
    unistd::{chdir, dup2_stderr, setsid},
};

use self::message::{Answer, MachineOrder, Request, receive_message, send_message};
use crate::{
    cgroup,
    init::{InitAnswer, InitSpec},
    state::{self, Claim},
    sys,
    wait::wait_for_exit,
};

const KILLED_WITHIN: Duration = Duration::from_secs(10);

/// Runs as keeper of `lab` until the owner is gone or says so. Standard input is the connection to the owner.
pub(crate) fn run(lab: &str) -> Result<()> {
    setsid().context("starting a session")?;
    chdir("/").context("leaving the working directory")?;
    let mut ending = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        ending.add(signal);
    }
    ending.thread_block().context("blocking signals")?;
    let signals = SignalFd::new(&ending).context("watching signals")?;
    let owner = std::io::stdin().as_fd().try_clone_to_owned().context("taking the connection to the owner")?;

    let mut keeper = match Keeper::start(lab) {
        Ok(keeper) => keeper,
        Err(error) => {
            send_message(&owner, &Answer::Failed(format!("{error:#}"))).context("telling the owner")?;
            return Err(error);
        }
    };
    let asked = match send_message(&owner, &Answer::Done) {
        Ok(()) => keeper.serve(&owner, &signals),
        // The owner is gone already.
        Err(_) => Ok(false),
    };
    let ended = keeper.end();
    if let Ok(true) = asked {
        let answer = ended.as_ref().map_or_else(|error| Answer::Failed(format!("{error:#}")), |()| Answer::Done);
        // An owner that does not wait for the answer need not have it.
        let _ = send_message(&owner, &answer);
    }
    asked.map(drop).and(ended)
}

struct Keeper {
    lab: String,
    claim: Claim,
    /// Its own pid namespace, to come back to after making one for a machine.
    pid_namespace: File,
    inits: Vec<(String, Child)>,
}

impl Keeper {
    fn start(lab: &str) -> Result<Self> {
        // First: one of them may have had the same name.
        let swept = state::sweep()?;
        let claim = Claim::take(lab)?;
        let log = state::dir_of(lab).join("keeper.log");
        let log = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        dup2_stderr(&log).context("writing to keeper.log")?;
        for dead in swept {
            log::warn!("swept what lab {dead} left: its keeper was killed");
        }
        let pid_namespace = File::open("/proc/self/ns/pid").context("opening /proc/self/ns/pid")?;
        Ok(Self { lab: lab.to_owned(), claim, pid_namespace, inits: Vec::new() })
    }

    /// Serves the owner until the lab shall end. True if the owner asked for that and waits for an answer.
    fn serve(&mut self, owner: &OwnedFd, signals: &SignalFd) -> Result<bool> {
        let mut detached = false;
        loop {
            let mut watched = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
            if !detached {
                watched.push(PollFd::new(owner.as_fd(), PollFlags::POLLIN));
            }
            match poll(&mut watched, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                polled => polled.context("waiting for owner or signal")?,
            };
            if watched.first().and_then(PollFd::any) == Some(true) {
                return Ok(false);
            }
            let answer = match receive_message(owner).context("hearing the owner")? {
                None => return Ok(false),
                Some(Request::End) => return Ok(true),
                Some(Request::Detach) => {
                    detached = true;
                    Answer::Done
                }
                Some(Request::Start(orders)) => match self.start_machines(&orders) {
                    Ok(pids) => Answer::Started(pids),
                    Err(error) => Answer::Failed(format!("{error:#}")),
                },
            };
            send_message(owner, &answer).context("answering the owner")?;
        }
    }

    /// Starts all inits before it waits for the first to be ready.
    fn start_machines(&mut self, orders: &[MachineOrder]) -> Result<Vec<i32>> {
        let first = self.inits.len();
        for order in orders {
            let init = self.spawn_init(order).with_context(|| format!("starting {}", order.name))?;
            self.inits.push((order.name.clone(), init));
        }
        let mut pids = Vec::new();
        for (name, init) in self.inits.iter_mut().skip(first) {
            wait_for_ready(init).with_context(|| format!("starting {name}"))?;
            pids.push(i32::try_from(init.id()).context("pid of an init")?);
        }
        Ok(pids)
    }

    fn spawn_init(&self, order: &MachineOrder) -> Result<Child> {
        let cgroup = cgroup::of_lab(&self.lab)?.join(&order.name);
        let scratch = state::dir_of(&self.lab).join(&order.name);
        for dir in [&cgroup, &scratch] {
            fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        }
        let spec = InitSpec {
            name: order.name.clone(),
            cgroup,
            scratch,
            visible: order.visible.clone(),
            forwards: order.forwards,
            hosts: order.hosts.clone(),
        };
        let spec = serde_json::to_vec(&spec).context("encoding its specification")?;
        // Only the first process started after this is PID 1, and only until the way back.
        unshare(CloneFlags::CLONE_NEWPID).context("making a pid namespace")?;
        let spawned = sys::command("/proc/self/exe")
            .arg0("caracal-lab")
            .args(["init", &order.name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        setns(&self.pid_namespace, CloneFlags::CLONE_NEWPID).context("returning from the new pid namespace")?;
        let mut init = spawned.context("starting its init")?;
        init.stdin.take().context("standard input of init")?.write_all(&spec).context("telling it what to be")?;
        Ok(init)
    }

    /// Kills all machines, waits until they are gone, and removes what is left of the lab. Goes on after an error, and
    /// gives the first.
    fn end(mut self) -> Result<()> {
        let mut done = Ok(());
        for (name, init) in &mut self.inits {
            done = done.and(init.kill().with_context(|| format!("killing {name}")));
        }
        for (name, init) in &mut self.inits {
            let gone = wait_for_exit(format_args!("the end of {name}"), KILLED_WITHIN, || init.try_wait())
                .context("a killed machine lives on while a process of it is not reaped by its parent");
            done = done.and(gone.map(drop));
        }
        done.and(self.claim.release())
    }
}

fn wait_for_ready(init: &mut Child) -> Result<()> {
    let mut line = String::new();
    let stdout = init.stdout.take().context("standard output of init")?;
    BufReader::new(stdout).read_line(&mut line).context("hearing its init")?;
    match serde_json::from_str(&line) {
        Ok(InitAnswer::Ready) => Ok(()),
        Ok(InitAnswer::Failed(error)) => bail!(error),
        Err(_) => bail!("its init ended without a word: see keeper.log"),
    }
}
