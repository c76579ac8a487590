//! A node with two pods, and everything that ADDs leave on it.

use std::{
    collections::BTreeSet,
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use caracal_datapath::{Features, Loader, Pinned, Root};
use caracal_lab::{NetNs, in_netns};
use serde_json::Value;

/// Files below these folders, and pins of links, belong to attachments.
const STATE: [&str; 2] = ["/run/caracal", "/run/host-local"];

/// But for these, which keep the order in which addresses are given out, and locks.
const KEPT: [&str; 4] = ["released", "cursor", "lock", "last_reserved_ip."];

/// How often a datagram is sent that nobody answers, and how long each is waited for.
const ATTEMPTS: u8 = 5;
const PATIENCE: Duration = Duration::from_millis(400);

/// The node this process is on.
#[derive(Debug)]
pub struct Ground {
    pods: Vec<NetNs>,
    pinned: Option<Pinned>,
    before: BTreeSet<String>,
}

impl Ground {
    /// The node with these pods' namespaces, with or without a data plane of its own.
    pub fn new(pods: &[String], with_programs: bool) -> Result<Self> {
        let root = Root::default();
        if with_programs {
            Loader::new(Features::probe()).load(&root)?;
        }
        let pods = pods.iter().map(|pod| NetNs::open(&Path::new("/run/netns").join(pod), pod));
        let pods = pods.collect::<io::Result<_>>().context("opening the pods' namespaces")?;
        Ok(Self { pods, pinned: Pinned::open(&root)?, before: BTreeSet::new() })
    }

    /// Remembers what is there now.
    pub fn remember(&mut self) -> Result<()> {
        self.before = self.traces()?;
        Ok(())
    }

    /// Fails unless all is as it was when it was remembered.
    pub fn expect_unchanged(&self) -> Result<()> {
        let now = self.traces()?;
        let (more, less) = (now.difference(&self.before), self.before.difference(&now));
        ensure!(
            now == self.before,
            "left over: {:?}, missing: {:?}",
            more.collect::<Vec<_>>(),
            less.collect::<Vec<_>>()
        );
        Ok(())
    }

    /// Whether the data plane knows any flow.
    pub fn has_flows(&self) -> Result<bool> {
        Ok(self.traces()?.iter().any(|trace| trace.starts_with("flow")))
    }

    /// Whether there is a data plane.
    #[must_use]
    pub fn has_programs(&self) -> bool {
        self.pinned.is_some()
    }

    /// Links, files, endpoints and flows.
    fn traces(&self) -> Result<BTreeSet<String>> {
        let mut traces: BTreeSet<String> = links()?.map(|link| format!("link {link}")).collect();
        for pod in &self.pods {
            let links = in_netns(pod, || links().map(Iterator::collect::<Vec<_>>))??;
            traces.extend(links.iter().map(|link| format!("link {link} of {}", pod.label())));
        }
        for folder in STATE.iter().map(PathBuf::from).chain([Root::default().links_dir()]) {
            files(&folder, &mut traces).with_context(|| format!("listing {}", folder.display()))?;
        }
        if let Some(pinned) = &self.pinned {
            traces.extend(pinned.endpoints()?.iter().map(|(ip, endpoint)| format!("endpoint {ip} {endpoint:?}")));
            traces.extend(pinned.flows4()?.entries()?.iter().map(|(key, _)| format!("flow {key:?}")));
            traces.extend(pinned.flows6()?.entries()?.iter().map(|(key, _)| format!("flow {key:?}")));
        }
        Ok(traces)
    }

    /// Exchanges a datagram between the first pod and the second, whose address this is.
    pub fn talk(&self, to: IpAddr) -> Result<()> {
        let [from, of, ..] = self.pods.as_slice() else { bail!("nobody to talk to") };
        let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let server = in_netns(of, || UdpSocket::bind((to, 0)))??;
        let client = in_netns(from, || UdpSocket::bind((any, 0)))??;
        client.connect(server.local_addr()?)?;
        for socket in [&server, &client] {
            socket.set_read_timeout(Some(PATIENCE))?;
        }
        let mut buffer = [0; 16];
        for attempt in 0..ATTEMPTS {
            client.send(&[attempt]).with_context(|| format!("sending to {to}"))?;
            let Ok((length, from)) = server.recv_from(&mut buffer) else { continue };
            server.send_to(buffer.get(..length).unwrap_or_default(), from)?;
            if client.recv(&mut buffer).is_ok() {
                return Ok(());
            }
        }
        bail!("no answer from {to}")
    }
}

/// The links of this thread's network namespace.
fn links() -> io::Result<impl Iterator<Item = String>> {
    let table = fs::read_to_string("/proc/thread-self/net/dev")?;
    let links = table.lines().skip(2).filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()));
    Ok(links.collect::<Vec<_>>().into_iter())
}

fn files(folder: &Path, found: &mut BTreeSet<String>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if KEPT.iter().any(|kept| entry.file_name().to_string_lossy().starts_with(kept)) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            files(&entry.path(), found)?;
        } else {
            found.insert(format!("file {}", entry.path().display()));
        }
    }
    Ok(())
}

/// The addresses of a result.
#[must_use]
pub fn addresses(result: &Value) -> Vec<IpAddr> {
    let ips = result["ips"].as_array().into_iter().flatten().filter_map(|ip| ip["address"].as_str());
    ips.filter_map(|ip| ip.split('/').next()?.parse().ok()).collect()
}
