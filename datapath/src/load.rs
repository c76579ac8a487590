//! Putting programs and maps into the kernel.

use std::{fs, io, ops::RangeInclusive, path::Path};

use aya::{
    Ebpf, EbpfError, EbpfLoader, VerifierLogLevel,
    maps::{MapData, MapError, ProgramArray},
    programs::Program,
};
use caracal_abi::{Tail, map, program};

use crate::{Error, Features, Root, attach, bpffs, clock, events::Telling, sys};

/// The object built from `ebpf/` together with this binary.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/caracal.bpf.o"));

/// What to do with pinned maps that are not what this version expects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mismatch {
    /// Leave everything as it is and fail.
    #[default]
    Refuse,
    /// Remove the pin and start with an empty map.
    Replace,
}

/// Which senders the first packet of a flow to a pod is believed that comes in by a NIC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum ReversePath {
    /// Any.
    Off = 0,
    /// Those that the host has a route to.
    #[default]
    Loose = 1,
    /// Those that the host's route leads to by the same NIC.
    Strict = 2,
}

/// How to load.
#[derive(Clone, Debug)]
pub struct Loader {
    /// What the kernel can do; what it cannot is compiled out by the verifier.
    pub features: Features,
    /// Whether the host's netfilter may translate addresses of pods' flows (kube-proxy, port mappings). Then a flow begins
    /// by the host's stack, and becomes direct with its reply.
    pub host_nat: bool,
    /// The node's ports that packets are sent from which pods send to the outside world; `None` sends them as they are.
    pub masquerade: Option<RangeInclusive<u16>>,
    /// Which senders are believed.
    pub reverse_path: ReversePath,
    /// How many bits of the kernel's clock are finer than a tick; `None` for ticks of little more than a second. With enough
    /// of them the clock stands still, which tests like.
    pub tick_shift: Option<u8>,
    /// Of which packets the programs tell.
    pub telling: Telling,
    /// What to do with pins that do not fit.
    pub mismatch: Mismatch,
    /// Entries of each flow table; `None` leaves the object's own number.
    pub flow_entries: Option<u32>,
    /// The same of those for flows that one side alone wants.
    pub new_flow_entries: Option<u32>,
}

/// What [`Loader::load`] did.
#[derive(Debug)]
pub struct Loaded {
    ebpf: Ebpf,
    /// Pinned maps that did not fit and were replaced by empty ones.
    pub replaced: Vec<String>,
}

impl Loader {
    /// For a kernel with these features, beside whatever the host does.
    #[must_use]
    pub fn new(features: Features) -> Self {
        Self {
            features,
            host_nat: true,
            masquerade: None,
            reverse_path: ReversePath::default(),
            tick_shift: None,
            telling: Telling::default(),
            mismatch: Mismatch::Refuse,
            flow_entries: None,
            new_flow_entries: None,
        }
    }

    /// Loads the object, keeping the contents of maps that are already pinned, and pins all of it below `root`.
    ///
    /// Programs attached before go on with what they had; [`crate::Pinned::reattach`] moves them to the new ones.
    pub fn load(&self, root: &Root) -> Result<Loaded, Error> {
        make_directories(root)?;
        self.telling.clear_pins(root)?;
        let mut replaced = Vec::new();
        let mut ebpf = loop {
            match self.load_object(root) {
                Err(Error::PinMismatch { path, .. }) if self.mismatch == Mismatch::Replace => {
                    fs::remove_file(&path).map_err(Error::directory("remove the pin", &path))?;
                    replaced.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
                }
                loaded => break loaded?,
            }
        };
        // Before anything that goes on to them.
        load_tails(&mut ebpf)?;
        let sockets = if self.features.sockets() { attach::SOCKETS } else { &[] };
        for name in program::TC.iter().copied().chain(sockets.iter().map(|(name, _)| *name)) {
            let found = ebpf.program_mut(name).ok_or(Error::NoProgram { name })?;
            load_program(name, found)?;
            pin_program(root, name, found)?;
        }
        Ok(Loaded { ebpf, replaced })
    }

    fn load_object(&self, root: &Root) -> Result<Ebpf, Error> {
        let redirect_peer = u8::from(self.features.redirect_peer());
        let host_nat = u8::from(self.host_nat);
        let (masquerade, ports) = match &self.masquerade {
            Some(ports) => (1_u8, [*ports.start(), (ports.end() - ports.start()).saturating_add(1)]),
            None => (0, [0, 0]),
        };
        let (reverse_path, checksum_ipv6) = (self.reverse_path as u8, u8::from(self.features.checksum_ipv6()));
        // None: then no socket is on the host, and loopback addresses are nobody's services.
        let host_netns = sys::netns_cookie().unwrap_or_else(|e| {
            log::warn!("no cookie of this network namespace ({e}): port mappings do not answer on loopback addresses");
            0
        });
        let mut loader = EbpfLoader::new();
        loader.verifier_log_level(VerifierLogLevel::VERBOSE | VerifierLogLevel::STATS);
        loader.override_global("REDIRECT_PEER", &redirect_peer, true);
        loader.override_global("HOST_NAT", &host_nat, true);
        loader.override_global("HOST_NETNS", &host_netns, true);
        loader.override_global("MASQUERADE", &masquerade, true);
        loader.override_global("MASQUERADE_PORTS", &ports, true);
        loader.override_global("REVERSE_PATH", &reverse_path, true);
        let tick_shift = self.tick_shift.map_or_else(clock::tick_shift, Ok)?;
        loader.override_global("TICK_SHIFT", &tick_shift, true);
        loader.override_global("CHECKSUM_IPV6", &checksum_ipv6, true);
        let told = self.telling.globals(clock::jiffies_per_second()?);
        loader.override_global("EVENT_REASONS", &told.reasons, true);
        loader.override_global("EVENT_ONE_IN", &told.one_in, true);
        loader.override_global("EVENT_PACE", &told.pace, true);
        if self.telling.is_on() {
            loader.map_max_entries(map::EVENTS, self.telling.buffer_bytes);
        }
        for name in map::ALL.iter().chain(map::OF_EVENTS.iter().filter(|_| self.telling.is_on())) {
            loader.map_pin_path(name, root.map(name));
        }
        let sizes = [
            (map::FLOWS4, self.flow_entries),
            (map::FLOWS6, self.flow_entries),
            (map::FLOWS_NEW4, self.new_flow_entries),
            (map::FLOWS_NEW6, self.new_flow_entries),
        ];
        for (name, entries) in sizes {
            if let Some(entries) = entries {
                loader.map_max_entries(name, entries);
            }
        }
        loader.load(OBJECT).map_err(|error| mismatch(root, error))
    }
}

impl Loaded {
    /// A program, for running it on made-up packets.
    #[must_use]
    pub fn program(&self, name: &str) -> Option<&Program> {
        self.ebpf.program(name)
    }
}

fn make_directories(root: &Root) -> Result<(), Error> {
    for directory in [root.maps_dir(), root.programs_dir(), root.links_dir()] {
        fs::create_dir_all(&directory).map_err(Error::directory("create it", &directory))?;
    }
    if bpffs::is_bpffs(root.path()) { Ok(()) } else { Err(Error::NotBpffs { path: root.path().to_owned() }) }
}

/// Tells a pin that does not fit from every other failure.
fn mismatch(root: &Root, error: EbpfError) -> Error {
    match error {
        EbpfError::MapError(MapError::IncompatiblePinnedMap { name, property, expected, actual }) => {
            Error::PinMismatch { path: root.map(&name), property, expected, actual }
        }
        other => Error::Load { source: Box::new(other) },
    }
}

/// Loads the programs that others go on to, and puts them where those look for them: from then on, packets of pods that
/// are attached already go on to the new ones.
fn load_tails(ebpf: &mut Ebpf) -> Result<(), Error> {
    let mut programs = Vec::new();
    for tail in Tail::ALL.iter().copied() {
        let name = tail.name();
        let program = ebpf.program_mut(name).ok_or(Error::NoProgram { name })?;
        load_program(name, program)?;
        let fd = program.fd().and_then(|fd| Ok(fd.try_clone()?)).map_err(Error::program(name, "use it"))?;
        programs.push((tail as u32, fd));
    }
    let map = ebpf.map_mut(map::TAILS).ok_or(Error::NoProgram { name: map::TAILS })?;
    let mut tails = ProgramArray::try_from(map).map_err(Error::map(map::TAILS, "use it as an array of programs"))?;
    for (tail, fd) in programs {
        tails.set(tail, &fd, 0).map_err(Error::map(map::TAILS, "put a program into it"))?;
    }
    Ok(())
}

fn load_program(name: &'static str, program: &mut Program) -> Result<(), Error> {
    let loaded = match program {
        Program::SchedClassifier(classifier) => classifier.load(),
        Program::CgroupSockAddr(sockets) => sockets.load(),
        _ => return Err(Error::NoProgram { name }),
    };
    loaded.map_err(Error::program(name, "load it"))
}

/// Pins a program in place of an older one, at no moment leaving the name empty.
fn pin_program(root: &Root, name: &str, program: &mut Program) -> Result<(), Error> {
    let (pin, fresh) = (root.program(name), root.programs_dir().join(format!("{name}-new")));
    remove_if_there(&fresh)?;
    program.pin(&fresh).map_err(Error::pin(&fresh))?;
    fs::rename(&fresh, &pin).map_err(Error::directory("rename the new program onto it", &pin))
}

fn remove_if_there(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::directory("remove it", path)(error)),
        _ => Ok(()),
    }
}

/// Opening a map at all is the plugin's test of whether the data plane is there.
pub(crate) fn is_loaded(root: &Root) -> bool {
    program::TC.iter().all(|name| root.program(name).exists()) && MapData::from_pin(root.map(map::COUNTERS)).is_ok()
}
