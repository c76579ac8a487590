//! Programs in nodes and pods: a builder like the standard library's, with bounded time and checked results.

mod collect;

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Seek as _, Write as _},
    os::unix::fs::FileExt as _,
    process::{self, Child, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use self::collect::collect;
use crate::{
    machine::Machine,
    namespaces::NetNs,
    sys,
    wait::{wait_for_exit, wait_until},
};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// A program to run in a machine or pod, in all of its namespaces and in its cgroup.
#[derive(Debug)]
pub struct Command {
    inner: process::Command,
    machine: Machine,
    netns: NetNs,
    stdin: Vec<u8>,
    timeout: Duration,
}

impl Command {
    pub(crate) fn new(machine: Machine, netns: NetNs, program: impl AsRef<OsStr>) -> Self {
        let mut inner = sys::command(program);
        inner.env("PATH", machine.path_variable());
        Self { inner, machine, netns, stdin: Vec::new(), timeout: DEFAULT_TIMEOUT }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.inner.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.inner.args(args);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.inner.env(name, value);
        self
    }

    /// Starts from an empty environment instead of the test's.
    #[must_use]
    pub fn env_clear(mut self) -> Self {
        self.inner.env_clear();
        self
    }

    /// What the program reads; nothing, unless this is called.
    #[must_use]
    pub fn stdin(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.stdin = input.into();
        self
    }

    /// How long [`Self::output`] waits: 30 s, unless this is called.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs it to its end, whatever that is. A program that takes too long is killed, which is an error.
    pub fn output(mut self) -> Result<Output> {
        let started = Instant::now();
        self.inner.stdin(file_with(&self.stdin)?).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = self.start()?;
        collect(child, started + self.timeout).with_context(|| format!("running {self}"))
    }

    /// Runs it and gives its standard output. Anything but success is an error, with what it wrote.
    pub fn run(self) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.run_bytes()?).into_owned())
    }

    /// As [`Self::run`], for output that is no text.
    pub fn run_bytes(self) -> Result<Vec<u8>> {
        let what = self.to_string();
        let Output { status, stdout, stderr } = self.output()?;
        let wrote = [stdout.as_slice(), &stderr].map(String::from_utf8_lossy).concat();
        ensure!(status.success(), "{what}: {status}\n{wrote}");
        Ok(stdout)
    }

    /// Starts it and lets it run. It is killed when the [`Process`] is dropped.
    pub fn spawn(mut self) -> Result<Process> {
        let log = tempfile::tempfile().context("making a log file")?;
        let clone = || log.try_clone().context("opening the log twice");
        self.inner.stdin(file_with(&self.stdin)?).stdout(clone()?).stderr(clone()?);
        let child = self.start()?;
        let pid = child.id();
        let child = Arc::new(Mutex::new(child));
        self.machine.shared().children.add(&child);
        Ok(Process { name: self.to_string(), pid, child, log, machine: self.machine })
    }

    /// Runs it on the terminal of this process, for a person. Not bounded in time.
    pub fn interactive(mut self) -> Result<ExitStatus> {
        self.inner.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit());
        self.start()?.wait().with_context(|| format!("waiting for {self}"))
    }

    fn start(&mut self) -> Result<Child> {
        let started = self.machine.spawn(&mut self.inner, &self.netns);
        started.with_context(|| format!("starting {self}"))
    }
}

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}", self.inner.get_program().display())?;
        for arg in self.inner.get_args() {
            write!(f, " {}", arg.display())?;
        }
        write!(f, "` in {}", self.netns.label())
    }
}

/// A program that runs in a machine or pod. Dropping it kills it; if the test is panicking, the end of its log is
/// printed.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: u32,
    child: Arc<Mutex<Child>>,
    log: File,
    /// Keeps the lab from ending first.
    machine: Machine,
}

impl Process {
    /// Its pid as the test sees it, which is not the one that the node sees.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// All it wrote to standard output and standard error so far.
    #[must_use]
    pub fn log(&self) -> String {
        let mut text = Vec::new();
        let mut chunk = [0; 16 * 1024];
        // By offset: the file's position is where the program writes next.
        while let Ok(len @ 1..) = self.log.read_at(&mut chunk, text.len() as u64) {
            text.extend_from_slice(chunk.get(..len).unwrap_or_default());
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Waits until its log contains `text`. A program that ends before is an error at once.
    #[track_caller]
    pub fn wait_for_log(&self, text: &str, timeout: Duration) -> Result<()> {
        let mut ended = None;
        let what = format!("`{text}` from {}", self.name);
        wait_until(what, timeout, || {
            ended = self.child().try_wait().ok().flatten();
            ended.is_some() || self.log().contains(text)
        })
        .with_context(|| format!("log of {}:\n{}", self.name, self.log()))?;
        match ended {
            Some(status) if !self.log().contains(text) => {
                bail!("{} ended ({status}) without `{text}`:\n{}", self.name, self.log())
            }
            _ => Ok(()),
        }
    }

    /// Whether it has not ended.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self.child().try_wait(), Ok(None))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.pid)?);
        kill(pid, signal).with_context(|| format!("sending {signal} to {}", self.name))
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&self, timeout: Duration) -> Result<ExitStatus> {
        wait_for_exit(format_args!("the end of {}", self.name), timeout, || self.child().try_wait())
    }

    /// Kills it and waits for its end.
    pub fn kill(&self) -> Result<()> {
        end(&mut self.child()).with_context(|| format!("killing {}", self.name))
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let skipped = log.lines().count().saturating_sub(40);
            eprintln!("--- end of the log of {}", self.name);
            log.lines().skip(skipped).for_each(|line| eprintln!("{line}"));
        }
        if let Err(error) = self.kill() {
            eprintln!("{error:#}");
        }
        self.machine.shared().children.remove(&self.child);
    }
}

/// The running [`Process`]es of a lab. A machine does not end before its processes are reaped, and only this process,
/// which is their parent, can do that.
#[derive(Debug, Default)]
pub(crate) struct Children(Mutex<Vec<Arc<Mutex<Child>>>>);

impl Children {
    fn add(&self, child: &Arc<Mutex<Child>>) {
        self.lock().push(Arc::clone(child));
    }

    fn remove(&self, child: &Arc<Mutex<Child>>) {
        self.lock().retain(|other| !Arc::ptr_eq(child, other));
    }

    /// Ends them all.
    pub(crate) fn end(&self) -> io::Result<()> {
        let children = self.lock();
        children.iter().try_for_each(|child| end(&mut child.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Mutex<Child>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Kills and reaps a child. One that has ended is fine.
fn end(child: &mut Child) -> io::Result<()> {
    child.kill()?;
    child.wait().map(drop)
}

/// A file to read `content` from: unlike a pipe, it cannot fill up while both sides write.
fn file_with(content: &[u8]) -> Result<Stdio> {
    if content.is_empty() {
        return Ok(Stdio::null());
    }
    let mut file = tempfile::tempfile().context("making a file for standard input")?;
    file.write_all(content).and_then(|()| file.rewind()).context("writing standard input")?;
    Ok(file.into())
}
