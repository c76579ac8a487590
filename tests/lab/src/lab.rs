//! A lab: machines on a LAN, held by a keeper.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use ipnetwork::IpNetwork;

use crate::{
    address::{self, Kind, Placement},
    find,
    keeper::{link::KeeperLink, message::MachineOrder},
    links::{self, LanSettings},
    machine::{Machine, Shared},
    node::{Node, resolve_binary},
    process::Children,
    site::Site as _,
    spec::{ClientSpec, LabSpec, LanKind, NodeSpec},
    state::{self, MachineRecord, Record},
};

/// The machine between all others.
const LAN: &str = "lan";

/// A lab. It ends when this and every machine, pod and process of it are dropped, or when this process ends, however it
/// does.
#[derive(Debug)]
pub struct Lab {
    lan: Machine,
    nodes: BTreeMap<String, Node>,
    clients: BTreeMap<String, Machine>,
    boot_time: Duration,
    shared: Arc<Shared>,
}

impl Lab {
    /// Describes a lab in code. `name` is made unique, so that tests can run side by side.
    #[must_use]
    pub fn builder(name: &str) -> Builder {
        Builder { spec: LabSpec::new(name) }
    }

    /// Starts a lab under exactly the name it has, without its pods and start commands: `caracal-lab up` adds those.
    pub fn start(spec: &LabSpec) -> Result<Self> {
        let began = Instant::now();
        spec.check()?;
        let places = address::plan(spec)?;
        let program = find::bin("caracal-lab")?;
        let bin_dir = program.parent().context("the directory of caracal-lab")?.to_owned();
        let visible = visible_dirs(spec, &bin_dir)?;
        let keeper = KeeperLink::start(&spec.name, &program)?;
        let pids = keeper.start_machines(orders(&places, &visible))?;
        let record = Record { machines: machine_records(&places, &pids), ..Record::default() };
        let shared = Arc::new(Shared {
            lab: spec.name.clone(),
            bin_dir,
            record: Mutex::new(record.clone()),
            children: Children::default(),
            keeper: Some(keeper),
        });
        shared.update_record(|_| ())?;
        let mut machines = record.machines.iter().map(|record| Machine::open(record, Arc::clone(&shared)));
        let lan = machines.next().context("the LAN's record")??;
        let others: Vec<Machine> = machines.collect::<Result<_>>()?;
        let settings = LanSettings { kind: spec.lan, mtu: spec.mtu, pod_routes: spec.pod_routes };
        join(settings, &lan, &others, &places, pids.get(1..).unwrap_or_default())?;

        let mut nodes = BTreeMap::new();
        let mut clients = BTreeMap::new();
        for (machine, place) in others.into_iter().zip(places) {
            match place.kind {
                Kind::Node => nodes.insert(place.name, Node::new(machine, place.pod_cidrs)).map(drop),
                Kind::Client | Kind::Lan => clients.insert(place.name, machine).map(drop),
            };
        }
        let lab = Self { lan, nodes, clients, boot_time: Duration::ZERO, shared };
        lab.furnish(spec)?;
        Ok(Self { boot_time: began.elapsed(), ..lab })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.lab
    }

    /// How long it took to start.
    #[must_use]
    pub fn boot_time(&self) -> Duration {
        self.boot_time
    }

    /// The bridge or router between all others.
    #[must_use]
    pub fn lan(&self) -> &Machine {
        &self.lan
    }

    /// The node called `name`.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn node(&self, name: &str) -> &Node {
        self.nodes.get(name).unwrap_or_else(|| panic!("lab {} has no node `{name}`", self.name()))
    }

    /// All nodes, by name.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// The client called `name`.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn client(&self, name: &str) -> &Machine {
        self.clients.get(name).unwrap_or_else(|| panic!("lab {} has no client `{name}`", self.name()))
    }

    /// Ends the lab now, and fails unless nothing of it is left. Handles that still exist are of no use after that.
    pub fn end(self) -> Result<()> {
        let Self { lan, nodes, clients, shared, .. } = self;
        drop((lan, nodes, clients));
        shared.end()
    }

    /// Marks the lab as one that `exec` and `down` mean when they are told no name.
    pub(crate) fn set_by_person(&self) -> Result<()> {
        self.shared.update_record(|lab| lab.by_person = true)
    }

    /// Lets the lab live on without this process, until `caracal-lab down`.
    pub(crate) fn detach(self) -> Result<()> {
        self.shared.keeper.as_ref().map_or(Ok(()), KeeperLink::detach)
    }

    /// Puts binaries and network configuration on the nodes.
    fn furnish(&self, spec: &LabSpec) -> Result<()> {
        for node_spec in &spec.nodes {
            let node = self.node(&node_spec.name);
            for binary in spec.binaries.iter().chain(&node_spec.binaries) {
                node.install(binary)?;
            }
            if let Some(conflist) = node_spec.conflist.as_ref().or(spec.conflist.as_ref()) {
                node.set_conflist(conflist.value()?)?;
            }
        }
        Ok(())
    }
}

/// A machine of a lab that belongs to somebody else.
pub(crate) fn attach(lab: &str, machine: &str) -> Result<Machine> {
    let record = state::read_record(lab)?;
    let names = || record.machines.iter().map(|machine| machine.name.as_str()).collect::<Vec<_>>().join(", ");
    let found = record.machines.iter().find(|record| record.name == machine);
    let found = found.with_context(|| format!("lab {lab} has no `{machine}`, but {}", names()))?.clone();
    let program = find::bin("caracal-lab")?;
    let bin_dir = program.parent().context("the directory of caracal-lab")?.to_owned();
    let shared = Shared {
        lab: lab.to_owned(),
        bin_dir,
        record: Mutex::new(record),
        children: Children::default(),
        keeper: None,
    };
    Machine::open(&found, shared.into())
}

/// Describes a lab in code.
#[derive(Debug, Clone)]
pub struct Builder {
    spec: LabSpec,
}

impl Builder {
    /// With this between nodes and clients.
    #[must_use]
    pub fn lan(mut self, kind: LanKind) -> Self {
        self.spec.lan = kind;
        self
    }

    /// With routes to the pod ranges of all nodes.
    #[must_use]
    pub fn pod_routes(mut self) -> Self {
        self.spec.pod_routes = true;
        self
    }

    /// With a node.
    #[must_use]
    pub fn node(mut self, node: NodeSpec) -> Self {
        self.spec.nodes.push(node);
        self
    }

    /// With a client.
    #[must_use]
    pub fn client(mut self, name: &str) -> Self {
        self.spec.clients.push(ClientSpec::new(name));
        self
    }

    /// With anything else that a specification has.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut LabSpec)) -> Self {
        change(&mut self.spec);
        self
    }

    /// Starts it.
    pub fn start(mut self) -> Result<Lab> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Infallible: writing to a string.
        let _ = write!(self.spec.name, "-{}-{number}", std::process::id());
        Lab::start(&self.spec).with_context(|| format!("starting lab {}", self.spec.name))
    }
}

/// What stays visible in machines although it may lie below `/tmp`: directories of programs.
fn visible_dirs(spec: &LabSpec, bin_dir: &Path) -> Result<Vec<PathBuf>> {
    let mut dirs = vec![bin_dir.to_owned()];
    for binary in spec.binaries.iter().chain(spec.nodes.iter().flat_map(|node| &node.binaries)) {
        dirs.extend(resolve_binary(binary)?.parent().map(Path::to_owned));
    }
    Ok(dirs)
}

fn orders(places: &[Placement], visible: &[PathBuf]) -> Vec<MachineOrder> {
    let mut hosts = "127.0.0.1 localhost\n::1 localhost\n".to_owned();
    for place in places {
        for address in &place.addresses {
            // Infallible: writing to a string.
            let _ = writeln!(hosts, "{} {}", address.ip(), place.name);
        }
    }
    let order = |name: &str, kind: Kind| MachineOrder {
        name: name.to_owned(),
        visible: visible.to_vec(),
        forwards: kind != Kind::Client,
        hosts: hosts.clone(),
    };
    let all = [order(LAN, Kind::Lan)].into_iter();
    all.chain(places.iter().map(|place| order(&place.name, place.kind))).collect()
}

/// What is known of all machines, the LAN first.
fn machine_records(places: &[Placement], pids: &[i32]) -> Vec<MachineRecord> {
    let lan = (LAN, Kind::Lan, Vec::new());
    let others = places.iter().map(|place| {
        let mut ips: Vec<IpAddr> = place.addresses.iter().map(IpNetwork::ip).collect();
        ips.sort_by_key(IpAddr::is_ipv6);
        (place.name.as_str(), place.kind, ips)
    });
    let described = [lan].into_iter().chain(others).zip(pids);
    described
        .map(|((name, kind, addresses), pid)| MachineRecord { name: name.to_owned(), kind, pid: *pid, addresses })
        .collect()
}

/// Makes the links: the LAN's side first, then all machines at once. When this returns they carry packets.
fn join(settings: LanSettings, lan: &Machine, others: &[Machine], places: &[Placement], pids: &[i32]) -> Result<()> {
    links::apply(lan.netns(), &links::lan_commands(settings, places, pids)?)?;
    thread::scope(|scope| {
        let running: Vec<_> = others
            .iter()
            .zip(0..)
            .map(|(machine, index)| {
                scope.spawn(move || links::apply(machine.netns(), &links::machine_commands(settings, places, index)?))
            })
            .collect();
        let results =
            running.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow!("a thread panicked"))));
        results.collect::<Result<Vec<()>>>().map(drop)
    })?;
    [lan].into_iter().chain(others).try_for_each(|machine| links::await_carriers(machine.netns()))
}
