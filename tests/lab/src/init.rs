//! PID 1 of a machine: makes the namespaces, tells the keeper, and from then on only reaps orphans.
//!
//! Killing it ends every process of the machine, and with the last of them the kernel frees links, mounts and pinned
//! eBPF objects. The kernel kills it when the keeper dies.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use nix::{
    errno::Errno,
    sched::{CloneFlags, unshare},
    sys::{
        prctl::{set_name, set_pdeathsig},
        signal::{SigSet, Signal},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
};
use serde::{Deserialize, Serialize};

use crate::{mounts, sys};

/// What an init is told on its standard input.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InitSpec {
    /// The machine's name, which becomes its host name.
    pub(crate) name: String,
    /// Its cgroup, which exists.
    pub(crate) cgroup: PathBuf,
    /// An existing directory to hide a tmpfs in.
    pub(crate) scratch: PathBuf,
    /// Directories that stay visible at their path.
    pub(crate) visible: Vec<PathBuf>,
    /// Whether it forwards packets.
    pub(crate) forwards: bool,
    /// Content of `/etc/hosts`.
    pub(crate) hosts: String,
}

/// What an init answers on its standard output, once.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum InitAnswer {
    /// The machine is there.
    Ready,
    /// It is not, because of this.
    Failed(String),
}

/// What a new network namespace inherits from the real machine, at the values it has on a machine that nobody touched.
/// The first changes others, so it comes first.
const INHERITED: [(&str, &str); 3] =
    [("ipv4/ip_forward", "0"), ("ipv4/conf/all/rp_filter", "0"), ("ipv4/conf/default/rp_filter", "0")];

/// Of all machines of a lab. Nobody else has their addresses, and no test should wait a second to be told so.
const MACHINE: [(&str, &str); 6] = [
    ("ipv4/conf/all/send_redirects", "0"),
    ("ipv4/conf/default/send_redirects", "0"),
    ("ipv6/conf/all/accept_dad", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/default/router_solicitations", "0"),
];

const FORWARDING: [(&str, &str); 2] = [("ipv4/ip_forward", "1"), ("ipv6/conf/all/forwarding", "1")];

/// A bridge must switch what it is given, not show it to netfilter first. Absent without `br_netfilter`.
const BRIDGE: [(&str, &str); 3] = [
    ("bridge/bridge-nf-call-iptables", "0"),
    ("bridge/bridge-nf-call-ip6tables", "0"),
    ("bridge/bridge-nf-call-arptables", "0"),
];

/// Runs as PID 1 until it is killed.
pub(crate) fn run() -> Result<()> {
    // It was started by a path that says nothing.
    set_name(c"caracal-lab").context("setting the name of the process")?;
    let mut spec = String::new();
    io::stdin().read_to_string(&mut spec).context("reading the machine's specification")?;
    let spec: InitSpec = serde_json::from_str(&spec).context("understanding the machine's specification")?;
    let made = become_machine(&spec).with_context(|| format!("making {}", spec.name));
    let answer = match &made {
        Ok(()) => InitAnswer::Ready,
        Err(error) => InitAnswer::Failed(format!("{error:#}")),
    };
    // A keeper that died before the death signal was asked for is noticed here: nobody reads.
    let mut stdout = io::stdout();
    serde_json::to_writer(&mut stdout, &answer).context("answering the keeper")?;
    stdout.write_all(b"\n").context("answering the keeper")?;
    made?;
    let null = File::options().read(true).write(true).open("/dev/null").context("opening /dev/null")?;
    nix::unistd::dup2_stdin(&null).context("letting go of standard input")?;
    nix::unistd::dup2_stdout(&null).context("letting go of standard output")?;
    reap_forever()
}

fn become_machine(spec: &InitSpec) -> Result<()> {
    set_pdeathsig(Signal::SIGKILL).context("asking to die with the keeper")?;
    let procs = spec.cgroup.join("cgroup.procs");
    // Before the cgroup namespace is made: its root is the cgroup that its maker is in.
    fs::write(&procs, "0").with_context(|| format!("joining {}", procs.display()))?;
    let kinds =
        CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWCGROUP;
    unshare(kinds).context("making namespaces")?;
    mounts::build(&spec.scratch, &spec.visible)?;
    fs::write("/proc/sys/kernel/hostname", &spec.name).context("setting the host name")?;
    fs::write("/etc/hostname", format!("{}\n", spec.name)).context("writing /etc/hostname")?;
    fs::write("/etc/hosts", &spec.hosts).context("writing /etc/hosts")?;
    // The real machine's name servers cannot be reached from here; asking them would only take time.
    fs::write("/etc/resolv.conf", "").context("emptying /etc/resolv.conf")?;
    set_machine_sysctls(spec.forwards)?;
    sys::set_loopback_up().context("setting lo up")
}

fn set_machine_sysctls(forwards: bool) -> Result<()> {
    set_inherited_sysctls()?;
    let forwarding = if forwards { FORWARDING.as_slice() } else { &[] };
    for (name, value) in forwarding.iter().chain(&MACHINE) {
        set_sysctl(name, value).with_context(|| format!("setting sysctl net/{name}"))?;
    }
    for (name, value) in BRIDGE {
        match set_sysctl(name, value) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("setting sysctl net/{name}"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Makes the network namespace of this thread the same on every machine. Pods get this and no more: what a container
/// runtime does not do for plugins, the lab must not do either.
pub(crate) fn set_inherited_sysctls() -> Result<()> {
    INHERITED
        .iter()
        .try_for_each(|(name, value)| set_sysctl(name, value).with_context(|| format!("setting sysctl net/{name}")))
}

fn set_sysctl(name: &str, value: &str) -> io::Result<()> {
    fs::write(Path::new("/proc/sys/net").join(name), value)
}

fn reap_forever() -> Result<()> {
    let mut child_ended = SigSet::empty();
    child_ended.add(Signal::SIGCHLD);
    child_ended.thread_block().context("blocking SIGCHLD")?;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            // No child, or none that ended: the signal stays pending if one ends before the wait begins.
            Err(Errno::ECHILD) | Ok(WaitStatus::StillAlive) => {
                child_ended.wait().context("waiting for SIGCHLD")?;
            }
            Err(Errno::EINTR) | Ok(_) => {}
            Err(error) => return Err(error).context("reaping"),
        }
    }
}
