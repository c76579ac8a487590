//! The plugin's part of a network configuration. Keys it does not know are none of its business.

use std::path::{Path, PathBuf};

use caracal_datapath::{Root, abi::Mac};
use caracal_ipam::{
    config::data_dir,
    json::{FieldError, Node},
    protocol::{CniError, Code, Dns, Request, RuntimeDns, requested_mac},
};

use crate::{
    bandwidth::Bandwidth,
    ports::{self, Wish},
};

/// What state is kept under, unless a configuration says otherwise.
pub const RUN_DIR: &str = "/run/caracal";

/// The `ipam.type` that is served in this process.
pub const IPAM_TYPE: &str = "caracal-ipam";

/// Whether a pod may start without the data plane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The kernel's routing is enough.
    #[default]
    None,
    /// No pod without our programs in front of it.
    Required,
}

/// How programs get in front of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// By a filter: at once, but no plugin after this one can have an ingress qdisc on the link.
    Filter,
    /// By a tcx link: the kernel takes some milliseconds, and plugins after this one find the link as they expect it.
    Tcx,
}

/// Where things are: all that taking an attachment apart needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Our own state.
    pub run_dir: PathBuf,
    /// The data plane's pins.
    pub bpffs: PathBuf,
    /// The address stores.
    pub data_dir: PathBuf,
}

/// What ADD goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where things are.
    pub places: Places,
    /// The pod's MTU, if it is not that of the default route.
    pub mtu: Option<u32>,
    /// Resolver settings for the pod, instead of the IPAM's.
    pub dns: Option<Dns>,
    /// What the runtime wants changed in the resolver settings, wherever they come from.
    pub runtime_dns: RuntimeDns,
    /// The hardware address of the pod's interface, if it is asked for.
    pub mac: Option<Mac>,
    /// Whether a pod may start without the data plane.
    pub policy: Policy,
    /// How programs get in front of the pod.
    pub attach: Attach,
    /// How fast the pod may send and receive.
    pub bandwidth: Bandwidth,
    /// Ports of the node that lead to the pod's.
    pub ports: Vec<Wish>,
}

impl Places {
    fn read(conf: &Node<'_>) -> Result<Self, FieldError> {
        Ok(Self::with(absolute(conf, "runDir")?, absolute(conf, "bpffs")?, own_data_dir(conf)?))
    }

    /// Reads a configuration that may be broken: what it says wrongly counts as not said, because what was made under
    /// it must still be taken apart.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        let conf = request.conf();
        let usual = |e: FieldError| {
            log::warn!("{e}; the usual place is assumed");
            None
        };
        Self::with(
            absolute(&conf, "runDir").unwrap_or_else(usual),
            absolute(&conf, "bpffs").unwrap_or_else(usual),
            own_data_dir(&conf).unwrap_or_else(usual),
        )
    }

    fn with(run_dir: Option<PathBuf>, bpffs: Option<PathBuf>, data_dir: Option<PathBuf>) -> Self {
        let run_dir = run_dir.unwrap_or_else(|| RUN_DIR.into());
        Self {
            data_dir: data_dir.unwrap_or_else(|| run_dir.join("ipam")),
            bpffs: bpffs.unwrap_or_else(|| Root::DEFAULT.into()),
            run_dir,
        }
    }

    /// Where the records of a network's attachments are.
    #[must_use]
    pub fn records(&self, network: &str) -> PathBuf {
        self.run_dir.join("endpoints").join(Path::new(network))
    }
}

impl Config {
    /// Reads what ADD and STATUS need, and refuses what they cannot do.
    pub fn parse(request: &Request) -> Result<Self, CniError> {
        let conf = request.conf();
        if conf.field("ipMasq")? == Some(true) {
            let msg = "ipMasq: true is not supported; what leaves the node is for the node to translate";
            return Err(CniError::new(Code::UnsupportedField, msg));
        }
        let mtu: Option<u32> = conf.field("mtu")?.filter(|mtu| *mtu != 0);
        // The least that IPv4 needs, and what fits a packet's length field.
        if let Some(mtu) = mtu.filter(|mtu| !(68..=65535).contains(mtu)) {
            return Err(conf.field_error("mtu", format!("{mtu} is not between 68 and 65535")).into());
        }
        let policy = match conf.field::<String>("policy")?.as_deref() {
            None | Some("none") => Policy::None,
            Some("required") => Policy::Required,
            Some(other) => {
                let reason = format!("{other:?} is not one of \"none\", \"required\"");
                return Err(conf.field_error("policy", reason).into());
            }
        };
        let attach = match conf.field::<String>("attach")?.as_deref() {
            // After another plugin there are more, as a rule, and the pod has waited for the vendor's anyway.
            None if is_chained(&conf) => Attach::Tcx,
            None | Some("filter") => Attach::Filter,
            Some("tcx") => Attach::Tcx,
            Some(other) => {
                let reason = format!("{other:?} is not one of \"filter\", \"tcx\"");
                return Err(conf.field_error("attach", reason).into());
            }
        };
        // Any key counts, also an empty list: it is how a configuration says "no name servers".
        let dns = conf.get("dns")?.filter(|dns| dns.value().as_object().is_none_or(|dns| !dns.is_empty()));
        let dns = dns.map(|dns| dns.parse()).transpose()?;
        let mac = requested_mac(&conf, &request.args)?.map(Mac);
        let runtime_dns = RuntimeDns::read(&conf)?;
        let bandwidth = Bandwidth::parse(&conf)?;
        let ports = ports::parse(&conf)?;
        Ok(Self { places: Places::read(&conf)?, mtu, dns, runtime_dns, mac, policy, attach, bandwidth, ports })
    }

    /// The pod's resolver settings, where its IPAM has given `given`.
    #[must_use]
    pub fn dns(&self, given: Dns) -> Dns {
        self.runtime_dns.over(self.dns.clone().unwrap_or(given))
    }
}

/// Where the store of our own IPAM shall be. Others have a key of this name too, and what is there is not ours.
fn own_data_dir(conf: &Node<'_>) -> Result<Option<PathBuf>, FieldError> {
    let Some(ipam) = conf.get("ipam")? else { return Ok(None) };
    match ipam.field::<String>("type")? {
        Some(kind) if kind != IPAM_TYPE => Ok(None),
        _ => data_dir(&ipam),
    }
}

fn absolute(conf: &Node<'_>, key: &str) -> Result<Option<PathBuf>, FieldError> {
    match conf.field::<PathBuf>(key)? {
        Some(path) if !path.is_absolute() => Err(conf.field_error(key, "must be an absolute path")),
        path => Ok(path),
    }
}

/// `ipam.type`, in a list that this plugin is the first of.
pub fn ipam_type(conf: &Node<'_>) -> Result<String, FieldError> {
    let missing = "is missing; only after another plugin, which hands over its prevResult, can caracal do without";
    conf.get("ipam")?.ok_or_else(|| conf.field_error("ipam", missing))?.require("type")
}

/// Whether a configuration leaves interfaces and addresses to the plugins before this one. ADD knows by `prevResult`,
/// but old versions of the specification have that for ADD alone.
#[must_use]
pub fn is_chained(conf: &Node<'_>) -> bool {
    matches!(conf.get("ipam"), Ok(None))
}

#[cfg(test)]
mod tests;
