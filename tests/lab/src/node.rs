//! A node: a machine that runs pods.

use std::{
    fs, io,
    net::IpAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use ipnetwork::IpNetwork;
use serde_json::Value;

use crate::{
    cni::Driver,
    find,
    machine::Machine,
    namespaces::NetNs,
    pod::{Pod, PodOptions},
    site::Site,
    vars::Vars,
};

const PLUGIN_DIR: &str = "/opt/cni/bin";
const CONFLIST: &str = "/etc/cni/net.d/10-lab.conflist";

/// A node. Clones are the same node.
#[derive(Debug, Clone)]
pub struct Node {
    machine: Machine,
    pod_cidrs: Vec<IpNetwork>,
}

impl Node {
    pub(crate) fn new(machine: Machine, pod_cidrs: Vec<IpNetwork>) -> Self {
        Self { machine, pod_cidrs }
    }

    /// Its pod ranges.
    #[must_use]
    pub fn pod_cidrs(&self) -> &[IpNetwork] {
        &self.pod_cidrs
    }

    /// Makes a pod by the node's network configuration, as a container runtime would.
    pub fn pod(&self, name: &str) -> Result<Pod> {
        self.pod_with(name, &PodOptions::default())
    }

    /// Makes a pod that is special in some way.
    pub fn pod_with(&self, name: &str, options: &PodOptions) -> Result<Pod> {
        Pod::create(self, name, options)
    }

    /// The CNI runtime of this node.
    #[must_use]
    pub fn cni(&self) -> Driver {
        Driver::new(&self.machine)
    }

    /// Writes the node's network configuration. `${node}`, `${nodeIP4}`, `${nodeIP6}`, `${podCIDR4}` and `${podCIDR6}`
    /// in its strings stand for what this node has.
    pub fn set_conflist(&self, list: &Value) -> Result<()> {
        let list = self.vars().expand_json(list).with_context(|| format!("conflist of node {}", self.label()))?;
        self.machine.write_file(CONFLIST, serde_json::to_vec_pretty(&list).context("encoding the conflist")?)
    }

    /// Puts a program into the node's `/opt/cni/bin`, by a symbolic link: nothing is copied, so that nobody can find
    /// the program half written or still open for writing.
    ///
    /// `program` is a path, or the name of a binary of this workspace. A path below `/tmp` or `/run` works only if the
    /// lab was told of it from the start ([`crate::spec::LabSpec::binaries`]).
    pub fn install(&self, program: &str) -> Result<()> {
        let program = resolve_binary(program)?;
        let name = program.file_name().with_context(|| format!("{} has no file name", program.display()))?;
        let link = Path::new(PLUGIN_DIR).join(name);
        let install = || {
            match fs::remove_file(&link) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            fs::metadata(&program).and_then(|_| symlink(&program, &link))
        };
        self.machine
            .inside(install)
            .flatten()
            .with_context(|| format!("linking {} to {} on node {}", link.display(), program.display(), self.label()))
    }

    /// Starts a shell command that runs until the lab ends, with `${…}` as in [`Self::set_conflist`]. What it writes
    /// goes to `log`, a file of the node.
    pub(crate) fn start(&self, command: &str, log: &str) -> Result<()> {
        let command = self.vars().expand(command)?;
        start_daemon(self, log, ["sh", "-c", &command])
    }

    fn vars(&self) -> Vars {
        let ip = |v4: bool| self.addresses().iter().find(move |ip| ip.is_ipv4() == v4);
        let cidr = |v4: bool| self.pod_cidrs.iter().find(move |cidr| cidr.is_ipv4() == v4);
        let mut vars = Vars::default();
        vars.set("node", Some(self.label()));
        vars.set("nodeIP4", ip(true));
        vars.set("nodeIP6", ip(false));
        vars.set("podCIDR4", cidr(true));
        vars.set("podCIDR6", cidr(false));
        vars
    }
}

impl Site for Node {
    fn machine(&self) -> &Machine {
        &self.machine
    }

    fn netns(&self) -> &NetNs {
        self.machine.netns()
    }

    fn addresses(&self) -> &[IpAddr] {
        self.machine.addresses()
    }
}

/// The path of a program that is named by its path, or is a binary of this workspace.
pub(crate) fn resolve_binary(program: &str) -> Result<PathBuf> {
    if !program.contains('/') {
        return find::bin(program);
    }
    let path = fs::canonicalize(program).with_context(|| format!("looking for program {program}"))?;
    ensure!(path.is_file(), "{program} is not a file");
    Ok(path)
}

/// Starts a program that the machine's own init adopts: it runs until the lab ends, whoever started it.
pub(crate) fn start_daemon<S: AsRef<std::ffi::OsStr>>(
    site: &impl Site,
    log: &str,
    program: impl IntoIterator<Item = S>,
) -> Result<()> {
    let adopted = "\"$@\" >\"$0\" 2>&1 </dev/null &";
    let started = site.command("sh").args(["-c", adopted, log]).args(program).output()?;
    if !started.status.success() {
        bail!("starting a daemon: {}", String::from_utf8_lossy(&started.stderr));
    }
    Ok(())
}
