//! A node, a client or the LAN itself: namespaces held by an init process, and ways into them.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io,
    net::IpAddr,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use anyhow::{Context as _, Result};

use crate::{
    address::Kind,
    cgroup,
    keeper::link::KeeperLink,
    namespaces::{Namespaces, NetNs, on_fresh_thread},
    process::Children,
    site::Site,
    state::{self, MachineRecord, Record},
    sys,
};

/// What all handles of a lab share. The lab ends when the last of them is dropped.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) lab: String,
    /// Where the binaries of this workspace are: visible in every machine, and in its `PATH`.
    pub(crate) bin_dir: PathBuf,
    pub(crate) record: Mutex<Record>,
    pub(crate) children: Children,
    /// `None` when the lab belongs to somebody else.
    pub(crate) keeper: Option<KeeperLink>,
}

impl Shared {
    /// Ends the lab, and the processes that this one has in it.
    pub(crate) fn end(&self) -> Result<()> {
        let Some(keeper) = &self.keeper else { return Ok(()) };
        self.children.end().with_context(|| format!("ending the processes in lab {}", self.lab))?;
        keeper.end()
    }

    /// Changes what is known about the lab outside of this process.
    pub(crate) fn update_record(&self, change: impl FnOnce(&mut Record)) -> Result<()> {
        let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut record);
        state::write_record(&self.lab, &record)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            // A lab that leaves something behind is a failure of the test, unless there is one already.
            assert!(thread::panicking(), "ending lab {}: {error:#}", self.lab);
            eprintln!("ending lab {}: {error:#}", self.lab);
        }
    }
}

/// A node, a client or the LAN itself. Clones are the same machine.
#[derive(Debug, Clone)]
pub struct Machine(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    // Dropped in this order: namespaces that are held open would outlive the lab.
    namespaces: Namespaces,
    procs: Arc<File>,
    name: String,
    kind: Kind,
    addresses: Vec<IpAddr>,
    shared: Arc<Shared>,
}

impl Machine {
    /// The machine whose init is `record.pid`.
    pub(crate) fn open(record: &MachineRecord, shared: Arc<Shared>) -> Result<Self> {
        let name = record.name.clone();
        let namespaces = Namespaces::of_process(record.pid, &name)
            .with_context(|| format!("opening the namespaces of {name} (pid {})", record.pid))?;
        let procs = cgroup::of_lab(&shared.lab)?.join(&name).join("cgroup.procs");
        let procs = File::options().write(true).open(&procs).with_context(|| format!("opening {}", procs.display()))?;
        let (kind, addresses) = (record.kind, record.addresses.clone());
        Ok(Self(Arc::new(Inner { namespaces, procs: procs.into(), name, kind, addresses, shared })))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    /// The `PATH` of its programs: the binaries of this workspace come first.
    pub(crate) fn path_variable(&self) -> OsString {
        let mut path = self.0.shared.bin_dir.clone().into_os_string();
        path.push(":");
        path.push(env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into()));
        path
    }

    /// Runs `work` on a fresh thread that sees the machine's files and network, for what needs no program.
    ///
    /// # Panics
    /// If `work` does, with its panic.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        on_fresh_thread(self.name(), || {
            self.0.namespaces.enter()?;
            Ok(work())
        })
    }

    /// Reads a file of the machine.
    pub fn read_file(&self, path: impl AsRef<Path>) -> Result<Vec<u8>> {
        let path = path.as_ref();
        self.inside(|| fs::read(path))
            .flatten()
            .with_context(|| format!("reading {} of {}", path.display(), self.name()))
    }

    /// Writes a file of the machine, and the directories above it. A program is better written by a program of the
    /// machine: while this process has it open, another thread may start a process that keeps it open, and nobody can
    /// run it.
    pub fn write_file(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Result<()> {
        let (path, content) = (path.as_ref(), content.as_ref());
        let write = || {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(path, content)
        };
        self.inside(write).flatten().with_context(|| format!("writing {} of {}", path.display(), self.name()))
    }

    /// Makes a network namespace without a link to anything, named `/run/netns/<name>` as a container runtime would.
    pub fn add_netns(&self, name: &str) -> Result<NetNs> {
        crate::netns::add(&self.0.namespaces, name, &format!("{}/{name}", self.name()))
            .with_context(|| format!("making network namespace {name} on {}", self.name()))
    }

    /// Opens `/run/netns/<name>`.
    pub fn open_netns(&self, name: &str) -> Result<NetNs> {
        let label = format!("{}/{name}", self.name());
        self.inside(|| NetNs::open(&crate::netns::path(name), &label))
            .flatten()
            .with_context(|| format!("opening network namespace {name} of {}", self.name()))
    }

    /// Removes `/run/netns/<name>`; one that is gone already is fine. The namespace lives on while something is in it.
    pub fn remove_netns(&self, name: &str) -> Result<()> {
        self.inside(|| crate::netns::remove(name))
            .flatten()
            .with_context(|| format!("removing network namespace {name} of {}", self.name()))
    }

    /// Starts `command` in all namespaces of the machine and in its cgroup; `netns` is the machine's
    /// own network or that of a pod.
    pub(crate) fn spawn(&self, command: &mut Command, netns: &NetNs) -> io::Result<Child> {
        sys::join_cgroup_before_exec(command, Arc::clone(&self.0.procs));
        on_fresh_thread(self.name(), || {
            self.0.namespaces.enter_with_pid()?;
            netns.enter()?;
            command.spawn()
        })
    }
}

impl Site for Machine {
    fn machine(&self) -> &Machine {
        self
    }

    fn netns(&self) -> &NetNs {
        self.0.namespaces.net()
    }

    fn addresses(&self) -> &[IpAddr] {
        &self.0.addresses
    }
}
