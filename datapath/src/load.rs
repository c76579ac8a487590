//! Putting programs and maps into the kernel.

use std::{fs, io, path::Path};

use aya::{
    Ebpf, EbpfError, EbpfLoader, VerifierLogLevel,
    maps::{MapData, MapError},
    programs::Program,
};
use caracal_abi::{map, program};

use crate::{Error, Features, Root, attach, bpffs, sys};

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

/// How to load.
#[derive(Clone, Debug)]
pub struct Loader {
    /// What the kernel can do; what it cannot is compiled out by the verifier.
    pub features: Features,
    /// Whether the host's netfilter may translate addresses of pods' flows (kube-proxy, port mappings). Then a flow begins
    /// by the host's stack, and becomes direct with its reply.
    pub host_nat: bool,
    /// What to do with pins that do not fit.
    pub mismatch: Mismatch,
    /// Entries of each flow table; `None` leaves the object's own number.
    pub flow_entries: Option<u32>,
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
        Self { features, host_nat: true, mismatch: Mismatch::Refuse, flow_entries: None }
    }

    /// Loads the object, keeping the contents of maps that are already pinned, and pins all of it below `root`.
    ///
    /// Programs attached before go on with what they had; [`crate::Pinned::reattach`] moves them to the new ones.
    pub fn load(&self, root: &Root) -> Result<Loaded, Error> {
        make_directories(root)?;
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
        for name in map::ALL {
            loader.map_pin_path(name, root.map(name));
        }
        for name in [map::FLOWS4, map::FLOWS6] {
            if let Some(entries) = self.flow_entries {
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
