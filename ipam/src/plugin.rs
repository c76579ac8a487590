//! The `caracal-ipam` plugin: the same addresses for other main plugins, which run it as `ipam.type`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Attachment, Config, Error, Ipam,
    config::{data_dir, host_local_dir, requested_addresses, usual_host_local_dir},
    json::FieldError,
    protocol::{AddResult, Added, CniError, Code, Dns, Ip, Plugin, Request, Target},
    resolv,
};

/// Where stores are, unless a configuration says otherwise.
pub const DATA_DIR: &str = "/run/caracal/ipam";

/// The plugin; it has no state but its files.
#[derive(Clone, Copy, Debug)]
pub struct IpamPlugin;

impl Plugin for IpamPlugin {
    const ABOUT: &'static str = concat!("CNI IPAM plugin caracal-ipam ", env!("CARGO_PKG_VERSION"));

    fn add(&self, request: &Request, target: &Target) -> Result<Added, CniError> {
        let config = read_config(request)?;
        let dns = config.resolv_conf.as_deref().map(read_resolv_conf).transpose()?.unwrap_or_default();
        let requested = requested_addresses(&request.conf(), &request.args)?;
        let leases = store_of(request, &config)?.add(&config, &target.attachment, &requested)?;
        let ips = leases.iter().map(|lease| Ip { gateway: Some(lease.gateway), ..Ip::new(lease.address) });
        Ok(AddResult { ips: ips.collect(), routes: config.routes, dns, ..AddResult::default() }.into())
    }

    fn del(&self, request: &Request, target: &Target) -> Result<(), CniError> {
        store_to_clean(request).del(&target.attachment)?;
        Ok(())
    }

    fn check(&self, request: &Request, target: &Target) -> Result<(), CniError> {
        Ok(store_of(request, &read_config(request)?)?.check(&target.attachment)?)
    }

    fn gc(&self, request: &Request, valid: &BTreeSet<Attachment>) -> Result<(), CniError> {
        let errors = store_to_clean(request).gc(valid);
        CniError::collect("addresses not released", errors.iter().map(ToString::to_string))
    }

    fn status(&self, request: &Request) -> Result<(), CniError> {
        let config = read_config(request)?;
        match store_of(request, &config)?.status(&config) {
            Err(e @ Error::Exhausted { .. }) => Err(CniError::new(Code::NotAvailable, e.to_string())),
            other => Ok(other?),
        }
    }
}

/// Reads the `ipam` object of a configuration.
pub fn read_config(request: &Request) -> Result<Config, FieldError> {
    let conf = request.conf();
    let ipam = conf.get("ipam")?.ok_or_else(|| conf.field_error("ipam", "is missing"))?;
    let runtime = conf.get("runtimeConfig")?;
    let ip_ranges = runtime.map_or(Ok(None), |runtime| runtime.get("ipRanges"))?;
    Config::parse(&ipam, ip_ranges.as_ref())
}

/// Reads resolver settings from the file that `ipam.resolvConf` names.
pub fn read_resolv_conf(path: &Path) -> Result<Dns, CniError> {
    let text = fs::read_to_string(path);
    let text = text.map_err(|e| CniError::new(Code::Io, format!("ipam.resolvConf: {}: {e}", path.display())))?;
    Ok(resolv::parse(&text))
}

fn store_of(request: &Request, config: &Config) -> Result<Ipam, FieldError> {
    let ipam = Ipam::new(config.data_dir.as_deref().unwrap_or(Path::new(DATA_DIR)), &request.network);
    Ok(ipam.with_host_local(read_host_local_dir(request)?))
}

/// Where host-local gave out addresses of the network before.
pub fn read_host_local_dir(request: &Request) -> Result<Option<PathBuf>, FieldError> {
    let conf = request.conf();
    let ipam = conf.get("ipam")?.ok_or_else(|| conf.field_error("ipam", "is missing"))?;
    host_local_dir(&ipam, &request.network)
}

/// The same of a configuration that may be broken: what it says wrongly counts as not said.
#[must_use]
pub fn likely_host_local_dir(request: &Request) -> Option<PathBuf> {
    read_host_local_dir(request).unwrap_or_else(|e| {
        log::warn!("{e}; the usual place is assumed");
        Some(usual_host_local_dir(&request.network))
    })
}

/// The store to give addresses back to. A configuration that has become unreadable must not keep them.
fn store_to_clean(request: &Request) -> Ipam {
    let ipam = request.conf().get("ipam").ok().flatten();
    let configured = ipam.and_then(|ipam| data_dir(&ipam).ok().flatten());
    let ipam = Ipam::new(configured.as_deref().unwrap_or(Path::new(DATA_DIR)), &request.network);
    ipam.with_host_local(likely_host_local_dir(request))
}
